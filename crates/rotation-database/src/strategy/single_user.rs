//! Single user: the user changes its own password.

use rotation::{CURRENT, Context, Done, PENDING, PREVIOUS, Result, VersionId, Versions};

use crate::connect;
use crate::engine::{Changed, Engine, PasswordChange};
use crate::error::{Tried, Whose};
use crate::login_error::LoginError;
use crate::rotator::DatabaseRotator;
use crate::secret::DatabaseSecret;
use crate::strategy::given_up::{self, GIVEN_UP};

/// Logs in with the current password and changes it.
///
/// In an ordinary rotation the current password works, and no other is tried. When it is refused, an earlier
/// attempt may have changed it already (then the pending one works), or `AWSCURRENT` was moved by hand (then the
/// previous one may), or a rotation was given up after it had changed the password (then a version without a label
/// has it). Any other failure ends the search: no password mends it, and each refused one counts towards a lock-out.
pub(crate) async fn set<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    versions: &Versions,
) -> Result<Done> {
    let (current, pending) = rotator.parse_one_user(versions)?;
    let mut tried = Vec::new();

    if let Some(session) = attempt(rotator, cx, &current, CURRENT, &mut tried).await? {
        return change(rotator, cx, session, &current, &pending, CURRENT).await;
    }
    if let Some(session) = attempt(rotator, cx, &pending, PENDING, &mut tried).await? {
        rotator.engine.log_out(session).await;
        return Ok(rotator.already_set(&pending));
    }
    let previous = previous(rotator, cx, &current, &mut tried).await?;
    if let Some(previous) = &previous
        && let Some(session) = attempt(rotator, cx, previous, PREVIOUS, &mut tried).await?
    {
        let done = change(rotator, cx, session, previous, &pending, PREVIOUS).await?;
        return Ok(done.note("The database still had the password of AWSPREVIOUS, not of AWSCURRENT."));
    }
    if let Some(given_up) =
        open_given_up(rotator, cx, &current, &pending, previous.as_ref(), &mut tried).await?
    {
        let GivenUp { version, secret, session } = given_up;
        let done = change(rotator, cx, session, &secret, &pending, GIVEN_UP).await?;
        return Ok(done.note(format!(
            "The database had the password of version {version}, which has no label: of a rotation that was given up."
        )));
    }
    Err(rotator.refused(&current, tried).into())
}

/// One login; `None` when the password was refused and another may be tried.
async fn attempt<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    secret: &DatabaseSecret,
    label: &'static str,
    tried: &mut Vec<Tried>,
) -> Result<Option<E::Session>> {
    match rotator.log_in(cx, secret, label).await {
        Ok(session) => Ok(Some(session)),
        Err(LoginError::Refused { said }) => {
            cx.warn(format!("the password of {label} is refused: {said}"));
            tried.push(Tried { label: label.into(), result: said });
            Ok(None)
        }
        Err(cause) => Err(connect::failed(&rotator.login(secret), Whose::Version(label), cause).into()),
    }
}

/// The previous version, when its password is worth trying: checked before anything is sent to a server.
async fn previous<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    current: &DatabaseSecret,
    tried: &mut Vec<Tried>,
) -> Result<Option<DatabaseSecret>> {
    let mut skip =
        |why: &str| tried.push(Tried { label: PREVIOUS.into(), result: format!("not tried, {why}") });
    let Some(value) = cx.previous().await? else {
        skip("there is none");
        return Ok(None);
    };
    let Ok(previous) = rotator.parse(&value, PREVIOUS) else {
        skip("it is not a usable secret");
        return Ok(None);
    };
    if previous.username != current.username || !previous.same_server(current) {
        skip("it is for another user or server");
        return Ok(None);
    }
    if previous.password == current.password {
        skip("it is the same password as AWSCURRENT");
        return Ok(None);
    }
    // Only its password counts: where to log in, and whether encrypted, is for the current version to say.
    Ok(Some(current.with_password(previous.password.clone())))
}

/// A version of a rotation that was given up, and the session that its password has opened.
struct GivenUp<S> {
    version: VersionId,
    secret: DatabaseSecret,
    session: S,
}

/// Looks for the password that a rotation which was given up has left in the database.
async fn open_given_up<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    current: &DatabaseSecret,
    pending: &DatabaseSecret,
    previous: Option<&DatabaseSecret>,
    tried: &mut Vec<Tried>,
) -> Result<Option<GivenUp<E::Session>>> {
    // Who may not look there is told so beside the refused passwords, which are the cause.
    let mut known = vec![current.password.clone(), pending.password.clone()];
    known.extend(previous.map(|previous| previous.password.clone()));
    let credentials = match given_up::credentials(rotator, cx, current, known).await {
        Ok(credentials) => credentials,
        Err(error) => {
            let result = format!("not looked for: {error}. {}", error.remedy());
            tried.push(Tried { label: "versions without a label".into(), result });
            return Ok(None);
        }
    };
    for (version, secret) in credentials {
        let session = attempt(rotator, cx, &secret, GIVEN_UP, tried).await?;
        if let Some(last) = tried.last_mut().filter(|_| session.is_none()) {
            last.label = format!("version {version}");
        }
        if let Some(session) = session {
            return Ok(Some(GivenUp { version, secret, session }));
        }
    }
    Ok(None)
}

async fn change<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    mut session: E::Session,
    old: &DatabaseSecret,
    new: &DatabaseSecret,
    label: &str,
) -> Result<Done> {
    let user = &new.username;
    cx.doing(format!("changing the password of {user}"));
    let keep_old = rotator.settings.keep_previous_password;
    let change = PasswordChange { user, old: &old.password, new: &new.password, keep_old };
    let changed = rotator.engine.change_password(&mut session, &change).await;
    rotator.engine.log_out(session).await;
    let changed = changed.map_err(|cause| rotator.statement(new, user, cause))?;
    let place = new.place();
    let and = if keep_old { ", and the one before still works" } else { "" };
    let done = format!("Logged in to {place} as {user} ({label}) and changed the password{and}.");
    Ok(match changed {
        Changed::Now => Done::now(done),
        Changed::NowBut(note) => Done::now(done).note(note),
        Changed::Before => Done::before(format!(
            "The pending password of {user} is in place at {place} already: an earlier attempt had set it, and the \
             one of {label} still works."
        )),
    })
}
