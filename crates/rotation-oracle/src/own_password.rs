//! Changes the password of the session's own user.

use rotation_database::{Changed, EngineError, PasswordChange};

use crate::common_user::is_yes;
use crate::decision::READ_ONLY;
use crate::failure::{USED_BEFORE, number_of, statement};
use crate::session::Session;

/// Changes the password of the session's own user.
///
/// It uses a call of the protocol, which encrypts the password with the session's key, so that no
/// statement contains it. The call also sends the old password, which a profile may require.
pub(crate) async fn change(
    session: &mut Session,
    change: &PasswordChange<'_>,
) -> Result<Changed, EngineError> {
    let (old, new) = (change.old.clone(), change.new.clone());
    let was_rolling = is_rolling_over(session).await;
    let grace = session.warning().map(|warning| {
        format!(
            "The password was about to expire ({warning}): rotate more often than \
             PASSWORD_LIFE_TIME of the user's profile."
        )
    });
    let changed = session
        .call(move |connection| connection.change_password(old.expose(), new.expose()))
        .await;
    match changed {
        // An earlier attempt may have set the new password, while a gradual rollover still allows a
        // login with the old one.
        Err(error) if number_of(&error) == Some(USED_BEFORE) => return Ok(Changed::Before),
        Err(error) => {
            let action = format!("change the password of {}", change.user);
            return Err(statement(
                &error,
                &action,
                Some(
                    "Allow the user to change its own password, or rotate with alternating users.",
                ),
            ));
        }
        Ok(()) => {}
    }
    let rollover = rollover(session).await.map(|limit| match was_rolling {
        true => "A gradual rollover was already in progress: the previous password no longer \
             works, only the new one and the one from before the rollover. Rotate less often than \
             PASSWORD_ROLLOVER_TIME."
            .to_owned(),
        false => format!(
            "The old password still works for {limit} day(s): PASSWORD_ROLLOVER_TIME of the user's \
             profile."
        ),
    });
    let notes: Vec<String> = grace.into_iter().chain(rollover).collect();
    Ok(if notes.is_empty() { Changed::Now } else { Changed::NowBut(notes.join(" ")) })
}

/// Checks that the user of the session is not read-only, as users can be from 23ai on. The server
/// rejects every change by a read-only user, including a new password.
pub(crate) async fn check_writable(session: &mut Session) -> Result<(), EngineError> {
    const ACTION: &str = "read the attributes of the user";
    if !session.release().is_23_or_newer() {
        return Ok(());
    }
    let rows = session.rows(ACTION, "SELECT username, read_only FROM SYS.USER_USERS", &[]).await?;
    match rows.first().map(Vec::as_slice) {
        Some([Some(user), read_only]) if is_yes(read_only) => {
            let (why, remedy) = READ_ONLY;
            Err(EngineError::NeedsDecision {
                what: format!("\"{user}\" cannot change its own password, because {why}"),
                remedy: remedy.into(),
            })
        }
        _ => Ok(()),
    }
}

/// Returns for how many days an old password still works after a change, if the profile sets
/// `PASSWORD_ROLLOVER_TIME`. Servers before 19.12 do not support it.
async fn rollover(session: &mut Session) -> Option<String> {
    const QUERY: &str =
        "SELECT limit FROM SYS.USER_PASSWORD_LIMITS WHERE resource_name = 'PASSWORD_ROLLOVER_TIME'";
    let rows = session.rows("read the password limits", QUERY, &[]).await.ok()?;
    let limit = rows.into_iter().next()?.into_iter().next()??;
    limit.parse::<f64>().is_ok_and(|days| days > 0.0).then_some(limit)
}

/// Returns `true` if the gradual rollover of an earlier password change is still in progress.
async fn is_rolling_over(session: &mut Session) -> bool {
    let rows = session
        .rows("read the account's status", "SELECT account_status FROM SYS.USER_USERS", &[])
        .await;
    let status = rows.ok().and_then(|rows| rows.into_iter().next()?.into_iter().next()?);
    status.is_some_and(|status| status.contains("IN ROLLOVER"))
}
