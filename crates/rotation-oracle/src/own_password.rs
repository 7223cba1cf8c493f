//! A user changes its own password.

use rotation_database::{Changed, EngineError, PasswordChange};

use crate::failure::{USED_BEFORE, number_of, statement};
use crate::session::Session;

/// Changes the session's own password, by the protocol's own call: encrypted under the session's
/// key, never in a statement. It carries the old password along, which profiles may demand.
pub(crate) async fn change(
    session: &mut Session,
    change: &PasswordChange<'_>,
) -> Result<Changed, EngineError> {
    let (old, new) = (change.old.clone(), change.new.clone());
    let was_rolling = is_rolling_over(session).await;
    let grace = session.warning().map(|warning| {
        format!("The password was about to expire ({warning}): rotate more often than PASSWORD_LIFE_TIME of the user's profile.")
    });
    let changed = session
        .call(move |connection| connection.change_password(old.expose(), new.expose()))
        .await;
    match changed {
        // An earlier attempt may have set it, which a gradual rollover lets the old one outlive.
        Err(trouble) if number_of(&trouble) == Some(USED_BEFORE) => return Ok(Changed::Before),
        Err(trouble) => {
            let doing = format!("change the password of {}", change.user);
            return Err(statement(
                &trouble,
                &doing,
                "Let the user change its own password, or rotate with alternating users.",
            ));
        }
        Ok(()) => {}
    }
    let rollover = rollover(session).await.map(|limit| match was_rolling {
        true => "A gradual rollover was under way already: the password before this one works no longer, only the one from before \
             the rollover. Rotate less often than PASSWORD_ROLLOVER_TIME."
            .to_owned(),
        false => format!(
            "The old password goes on working for {limit} day(s): PASSWORD_ROLLOVER_TIME of the user's profile."
        ),
    });
    let notes: Vec<String> = grace.into_iter().chain(rollover).collect();
    Ok(if notes.is_empty() { Changed::Now } else { Changed::NowBut(notes.join(" ")) })
}

/// For how many days the profile lets an old password outlive its change; servers before 19.12 do
/// not know it.
async fn rollover(session: &mut Session) -> Option<String> {
    const QUERY: &str =
        "SELECT limit FROM SYS.USER_PASSWORD_LIMITS WHERE resource_name = 'PASSWORD_ROLLOVER_TIME'";
    let rows = session.rows("read the password limits", QUERY, &[]).await.ok()?;
    let limit = rows.into_iter().next()?.into_iter().next()??;
    limit.parse::<f64>().is_ok_and(|days| days > 0.0).then_some(limit)
}

/// Returns `true` if an earlier change of the password is still being rolled over.
async fn is_rolling_over(session: &mut Session) -> bool {
    let rows = session
        .rows("read the account's status", "SELECT account_status FROM SYS.USER_USERS", &[])
        .await;
    let status = rows.ok().and_then(|rows| rows.into_iter().next()?.into_iter().next()?);
    status.is_some_and(|status| status.contains("IN ROLLOVER"))
}
