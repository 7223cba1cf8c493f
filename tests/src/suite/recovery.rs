//! Whatever dies, and whenever, a retry converges.

use anyhow::{Context, Result, ensure};
use rotation_local::{Function, Rotation, When};
use serde_json::{Value, json};

use crate::scene::{Scene, new_password};
use crate::server::Server;
use crate::suite::points::{Break, Then, at_every_point, at_every_point_of_later_turns};

pub(super) const SINGLE: &str = "single-user";
pub(super) const BY_MASTER: &str = "single-user-by-master";
pub(super) const MASTER: &str = "master-user";
pub(super) const STRATEGIES: [&str; 3] = [SINGLE, BY_MASTER, MASTER];

/// The steps, in their order.
pub(super) const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// The end that everything must come to.
pub(super) async fn check<T: Server>(scene: &Scene<T>, token: &str) -> Result<()> {
    ensure!(scene.version("AWSCURRENT")?.as_deref() == Some(token), "AWSCURRENT is not on the new version");
    let mut session = scene.log_in().await?;
    scene.target.is_whole(&mut session, &scene.user).await.context("the privileges are not whole")?;
    scene.search_for_passwords("")
}

/// The service may repeat what it asks for, at any time.
pub async fn every_step_twice_and_the_whole_rotation_again<T: Server>(target: T) -> Result<()> {
    for strategy in STRATEGIES {
        let scene = Scene::rich(&target).await?;
        let function = scene.function(strategy);
        let token = scene.stage(None)?;
        for step in STEPS {
            scene.step(&function, step, &token).await?;
            let again = scene.step(&function, step, &token).await?;
            ensure!(!again.to_string().contains("password\":"), "{again}");
        }
        let rotation = scene.attempt(&function, &token, 1).await;
        assert_eq!(rotation.failed, None);
        check(&scene, &token).await?;
    }
    Ok(())
}

/// Each call of Secrets Manager fails once: before it takes effect, or after, with its answer lost.
pub async fn every_call_of_secrets_manager_may_fail<T: Server>(target: T) -> Result<()> {
    for strategy in STRATEGIES {
        for when in [When::Before, When::After] {
            at_every_point(&target, strategy, Break::Call(when), Then::SameVersion).await?;
        }
    }
    Ok(())
}

/// The process is killed (SIGKILL) at some calls of Secrets Manager, before or after their effect: what it leaves is what a
/// failed call leaves, and that is tried at each.
pub async fn the_process_may_be_killed_at_any_call<T: Server>(target: T) -> Result<()> {
    for strategy in STRATEGIES {
        for when in [When::Before, When::After] {
            at_every_point(&target, strategy, Break::Kill(when), Then::SameVersion).await?;
        }
    }
    Ok(())
}

/// The wire to the database is cut at each packet, before it reaches the server or with its answer lost.
pub async fn the_connection_may_break_at_every_packet_single_user<T: Server>(target: T) -> Result<()> {
    for when in [When::Before, When::After] {
        at_every_point(&target, SINGLE, Break::Packet(when), Then::SameVersion).await?;
    }
    Ok(())
}

/// The same where a master sets the password.
pub async fn the_connection_may_break_at_every_packet_single_user_by_master<T: Server>(
    target: T,
) -> Result<()> {
    for when in [When::Before, When::After] {
        at_every_point(&target, BY_MASTER, Break::Packet(when), Then::SameVersion).await?;
    }
    Ok(())
}

/// The same for alternating users: a packet does not reach the server.
pub async fn the_connection_may_break_before_every_packet_alternating_users<T: Server>(
    target: T,
) -> Result<()> {
    at_every_point(&target, MASTER, Break::Packet(When::Before), Then::SameVersion).await
}

/// And its answer is lost.
pub async fn the_connection_may_break_after_every_packet_alternating_users<T: Server>(
    target: T,
) -> Result<()> {
    at_every_point(&target, MASTER, Break::Packet(When::After), Then::SameVersion).await
}

/// Any answer is lost, and then somebody gives the rotation up and begins another: the password may be one that no label
/// leads to.
pub async fn a_rotation_given_up_at_any_point_is_followed_by_another_single_user<T: Server>(
    target: T,
) -> Result<()> {
    for strategy in [SINGLE, BY_MASTER] {
        for what in [Break::Call(When::After), Break::Packet(When::After)] {
            at_every_point(&target, strategy, what, Then::NewVersion).await?;
        }
    }
    Ok(())
}

/// The same for alternating users.
pub async fn a_rotation_given_up_at_any_point_is_followed_by_another_alternating_users<T: Server>(
    target: T,
) -> Result<()> {
    for what in [Break::Call(When::After), Break::Packet(When::After)] {
        at_every_point(&target, MASTER, what, Then::NewVersion).await?;
    }
    Ok(())
}

/// Any answer is lost, and then the steps come out of order, twice at once, and late.
pub async fn steps_may_come_in_any_way_after_any_point_single_user<T: Server>(target: T) -> Result<()> {
    for strategy in [SINGLE, BY_MASTER] {
        for what in [Break::Call(When::After), Break::Packet(When::After)] {
            at_every_point(&target, strategy, what, Then::Storm).await?;
        }
    }
    Ok(())
}

/// The same for alternating users.
pub async fn steps_may_come_in_any_way_after_any_point_alternating_users<T: Server>(target: T) -> Result<()> {
    for what in [Break::Call(When::After), Break::Packet(When::After)] {
        at_every_point(&target, MASTER, what, Then::Storm).await?;
    }
    Ok(())
}

/// The later turns of alternating users: any answer is lost, and the same version goes on.
pub async fn a_later_turn_of_alternating_users_may_break_at_any_point<T: Server>(target: T) -> Result<()> {
    for what in [Break::Call(When::After), Break::Packet(When::After)] {
        at_every_point_of_later_turns(&target, what, Then::SameVersion).await?;
    }
    Ok(())
}

/// Or another one.
pub async fn a_later_turn_of_alternating_users_may_be_given_up_at_any_point<T: Server>(
    target: T,
) -> Result<()> {
    for what in [Break::Call(When::After), Break::Packet(When::After)] {
        at_every_point_of_later_turns(&target, what, Then::NewVersion).await?;
    }
    Ok(())
}

/// Or in any way.
pub async fn steps_of_a_later_turn_may_come_in_any_way_after_any_point<T: Server>(target: T) -> Result<()> {
    for what in [Break::Call(When::After), Break::Packet(When::After)] {
        at_every_point_of_later_turns(&target, what, Then::Storm).await?;
    }
    Ok(())
}

/// `AWSCURRENT` was moved by hand to a value that the database never had.
pub async fn single_user_recovers_with_the_previous_password<T: Server>(target: T) -> Result<()> {
    let scene = Scene::new(&target).await?;
    scene.change(&json!({"password": new_password()}))?;
    let function = scene.function(SINGLE);
    let token = scene.stage(None)?;
    let rotation = scene.attempt(&function, &token, 1).await;
    assert_eq!(rotation.failed, None);
    let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(set.contains("AWSPREVIOUS"), "{set}");
    if target.log().is_some() {
        // One attempt with each password that was refused.
        assert_eq!(scene.failed_logins()?, 2);
    }
    check(&scene, &token).await
}

/// The dead end of AWS's own functions: the password was changed, and then `AWSPENDING` removed. Nothing with a label
/// logs in any more.
pub async fn single_user_recovers_from_a_rotation_that_was_given_up<T: Server>(target: T) -> Result<()> {
    let scene = Scene::new(&target).await?;
    let function = scene.function(SINGLE);
    scene.rotate(&function).await?;
    let (given_up, lost) = given_up_after_set(&scene, &function).await?;
    ensure!(scene.log_in().await.is_err(), "the current password still works");

    let rotation = another_rotation(&scene, &function).await?;
    let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(set.contains(&given_up), "{set}");
    assert!(scene.log_in_with(&lost).await.is_err(), "the lost password still works");
    Ok(())
}

/// A rotation whose password is in the database, and which somebody has given up: its version and its value.
async fn given_up_after_set<T: Server>(scene: &Scene<T>, function: &Function) -> Result<(String, Value)> {
    let version = scene.stage(None)?;
    for step in ["createSecret", "setSecret"] {
        scene.step(function, step, &version).await?;
    }
    let value = scene.value("AWSPENDING")?;
    scene.give_up(&version)?;
    Ok((version, value))
}

/// A rotation of a new version, which must end well.
async fn another_rotation<T: Server>(scene: &Scene<T>, function: &Function) -> Result<Rotation> {
    let token = scene.stage(None)?;
    let rotation = scene.attempt(function, &token, 1).await;
    ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
    check(scene, &token).await?;
    Ok(rotation)
}

/// On the base user's turn its origin must be known: only the version without a label has the password that it now has.
pub async fn alternating_users_go_on_when_the_base_user_s_turn_was_given_up<T: Server>(
    target: T,
) -> Result<()> {
    let scene = Scene::new(&target).await?;
    let function = scene.function(MASTER);
    scene.rotate(&function).await?;
    given_up_after_set(&scene, &function).await?;
    scene.log_in().await.context("the other user's password is as it was")?;
    another_rotation(&scene, &function).await?;
    Ok(())
}

/// Then `AWSPREVIOUS` is of the same user as `AWSCURRENT`.
pub async fn alternating_users_go_on_when_the_secret_was_edited<T: Server>(target: T) -> Result<()> {
    let scene = Scene::new(&target).await?;
    let function = scene.function(MASTER);
    scene.rotate(&function).await?;
    scene.change(&json!({"note": "edited"}))?;
    another_rotation(&scene, &function).await?;
    Ok(())
}

/// `AWSCURRENT` has a password that the database never had; the one before is of the same user.
pub async fn alternating_users_go_on_when_the_current_password_was_edited<T: Server>(
    target: T,
) -> Result<()> {
    let scene = Scene::new(&target).await?;
    let function = scene.function(MASTER);
    // On the turn of either.
    for _ in 0..2 {
        scene.rotate(&function).await?;
        scene.change(&json!({"password": new_password()}))?;
        let rotation = another_rotation(&scene, &function).await?;
        let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
        ensure!(set.contains("AWSPREVIOUS"), "{set}");
    }
    Ok(())
}

/// Both users have a password from before: only versions without a label know them.
pub async fn alternating_users_go_on_when_the_database_was_restored<T: Server>(target: T) -> Result<()> {
    let scene = Scene::new(&target).await?;
    let function = scene.function(MASTER);
    let mut values = vec![scene.value("AWSCURRENT")?];
    for _ in 0..4 {
        scene.rotate(&function).await?;
        values.push(scene.value("AWSCURRENT")?);
    }
    // On the turn of either.
    for _ in 0..2 {
        // The versions of two rotations ago are the newest of both users without a label.
        for value in &values[values.len() - 4..values.len() - 2] {
            let text = |key: &str| value[key].as_str().unwrap_or_default();
            target.give_password(text("username"), text("password")).await?;
        }
        ensure!(scene.log_in().await.is_err(), "the current password still works");
        scene.begin_anew()?;
        let rotation = another_rotation(&scene, &function).await?;
        let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
        ensure!(set.contains("before the database was restored"), "{set}");
        // AWSCURRENT of the one; AWSPENDING and AWSPREVIOUS of the other.
        ensure!(scene.failed_logins()? <= 3, "{} failed logins", scene.failed_logins()?);
        values.push(scene.value("AWSCURRENT")?);
        scene.rotate(&function).await?;
        values.push(scene.value("AWSCURRENT")?);
        scene.rotate(&function).await?;
        values.push(scene.value("AWSCURRENT")?);
    }
    Ok(())
}
