//! Secrets Manager on loopback: AWS JSON 1.1 over HTTP.

mod clock;
mod error;
#[cfg(test)]
mod figures;
mod http;
mod keys;
mod kms;
mod listing;
mod model;
mod operations;
mod policy;
mod random_password;
mod request;
mod rotations;
mod schedule;
mod secret;
mod state;
mod store;

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get_service;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use error::ServiceError;
pub(crate) use operations::StartRotation;
pub(crate) use operations::rotation::function_name;
pub(crate) use secret::{CURRENT, PENDING, PREVIOUS, Secret, SecretValue};
pub(crate) use state::State;
pub use store::Store;
pub(crate) use store::{ACCOUNT, Change};

use clock::Clock;
use request::Request;

/// Holds the passphrase of the state file.
pub(crate) const PASSPHRASE: &str = "ROTATION_LOCAL_PASSPHRASE";

/// The region when a request names none.
pub(crate) const REGION: &str = "us-east-1";

/// The longest request, in bytes: a value of 65,536 bytes, each of which JSON writes in six.
const LONGEST_REQUEST: usize = 512 * 1024;

/// How many made passwords are remembered, to be masked.
const MOST_MADE: usize = 1000;

/// One request that was answered.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation.
    pub operation: String,
    /// The `VersionStage` or `VersionId` it asked for, if any.
    pub about: Option<String>,
    /// The length of the rotation token it had, if any: the token itself is nobody's business.
    pub rotation_token: Option<usize>,
    /// When it came.
    pub from: Instant,
    /// When it was answered.
    pub until: Instant,
}

/// Whether a fault hits before or after the operation has taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing has happened.
    Before,
    /// It has happened, and the answer is lost.
    After,
}

/// Something that goes wrong, for tests.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The service refuses.
    Refuse(ServiceError),
    /// The connection is never answered.
    Hang,
}

/// Decides on a fault for the n-th call (from 0) of this service, seeing its operation.
type FaultRule = Box<dyn FnMut(usize, &str, When) -> Option<Fault> + Send>;
/// Is told to start a rotation.
type OnRotate = Box<dyn Fn(StartRotation) + Send>;

/// The service. Clones share everything.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    address: SocketAddr,
    state: Mutex<Inside>,
    /// Whether calls are held back, and how many are.
    hold: watch::Sender<bool>,
    held: AtomicUsize,
}

#[derive(Default)]
struct Inside {
    store: Store,
    clock: Clock,
    calls: Vec<Call>,
    keeps_calls: bool,
    /// The passwords that `GetRandomPassword` has given out, the newest last.
    made: VecDeque<String>,
    count: usize,
    latency: Duration,
    fault: Option<FaultRule>,
    /// The only access key id that is let in; any, when there is none.
    key: Option<String>,
    on_rotate: Option<OnRotate>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("address", &self.inner.address).finish()
    }
}

/// Makes an access key id that nobody can guess.
pub(crate) fn new_key() -> String {
    format!("LOCAL{}", uuid::Uuid::new_v4().simple()).to_uppercase()
}

impl Service {
    /// Starts the service on 127.0.0.1, and remembers every call; port 0 picks a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(port: u16) -> anyhow::Result<Self> {
        let (service, listener) = Self::bind(IpAddr::V4(Ipv4Addr::LOCALHOST), port).await?;
        service.inside().keeps_calls = true;
        service.open(listener, Router::new());
        Ok(service)
    }

    /// A service that has its address, and answers nobody yet.
    pub(crate) async fn bind(address: IpAddr, port: u16) -> anyhow::Result<(Self, TcpListener)> {
        let listener = TcpListener::bind((address, port)).await.with_context(|| {
            format!("cannot listen on {address}:{port}; is another one running? Try another --port")
        })?;
        let address = listener.local_addr()?;
        Ok((
            Self {
                inner: Arc::new(Inner {
                    address,
                    state: Mutex::default(),
                    hold: watch::Sender::new(false),
                    held: AtomicUsize::new(0),
                }),
            },
            listener,
        ))
    }

    /// Answers requests from now on, beside other pages.
    pub(crate) fn open(&self, listener: TcpListener, pages: Router) {
        let api = Router::new()
            .fallback(http::answer)
            .with_state(self.clone())
            .layer(DefaultBodyLimit::max(LONGEST_REQUEST));
        let router = Router::new().fallback_service(get_service(pages).post_service(api));
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.inner.address.port()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at, or changes, what is stored.
    pub(crate) fn with_store<T>(&self, look: impl FnOnce(&mut Store) -> T) -> T {
        look(&mut self.inside().store)
    }

    /// Begins with what is stored elsewhere, on a clock on which so many seconds go by in a second.
    pub(crate) fn begin_with(&self, store: Store, time_scale: f64) {
        let mut inside = self.inside();
        inside.store = store;
        inside.clock = Clock::scaled(time_scale);
    }

    /// Performs an operation without going through HTTP, in the region `us-east-1`.
    ///
    /// # Errors
    /// The service's refusal.
    pub fn perform(&self, operation: &str, body: &Value) -> Result<Value, ServiceError> {
        self.perform_in(REGION, operation, body)
    }

    /// Performs an operation in a region.
    pub(crate) fn perform_in(
        &self,
        region: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, ServiceError> {
        let mut inside = self.inside();
        let request = Request { region, now: inside.clock.now(), body };
        let done = operations::perform(operation, &mut inside.store, &request)?;
        if let (Some(start), Some(on_rotate)) = (done.start, &inside.on_rotate) {
            on_rotate(start);
        }
        if let Some(password) = done.answer.get("RandomPassword").and_then(Value::as_str) {
            inside.made.push_back(password.to_owned());
            let surplus = inside.made.len().saturating_sub(MOST_MADE);
            inside.made.drain(..surplus);
        }
        done.refused.map_or(Ok(done.answer), Err)
    }

    /// Stores a secret under a given ARN, in `us-east-1` whatever that says.
    ///
    /// # Errors
    /// The service's refusal.
    pub fn put_secret(&self, name: &str, arn: &str, value: &str) -> Result<(), ServiceError> {
        let mut inside = self.inside();
        let now = inside.clock.now();
        let known = inside.store.find(REGION, name).ok().cloned();
        let mut secret = known.unwrap_or_else(|| Secret::new(REGION, name, arn.to_owned(), now));
        let token = uuid::Uuid::new_v4().to_string();
        secret.put(token, SecretValue::Text(value.to_owned()), None, now)?;
        inside.store.save(secret)
    }

    /// Tags a secret as only AWS's own services may: their keys begin with `aws:`.
    ///
    /// # Errors
    /// The service's refusal.
    pub fn tag_as_a_service_of_aws(
        &self,
        id: &str,
        key: &str,
        value: &str,
    ) -> Result<(), ServiceError> {
        self.inside().store.edit(REGION, id, |secret, _| {
            secret.tags.insert(key.to_owned(), value.to_owned());
            Ok(())
        })
    }

    /// The passwords that were made up of late: they are secrets before any secret has them.
    pub(crate) fn made_passwords(&self) -> Vec<String> {
        self.inside().made.iter().cloned().collect()
    }

    /// How long a time of the service's clock takes.
    pub(crate) fn real_time(&self, seconds: f64) -> Duration {
        self.inside().clock.real(seconds)
    }

    /// Knows these functions and no others.
    pub(crate) fn set_functions(&self, names: BTreeSet<String>) {
        self.inside().store.functions = Some(names);
    }

    /// Lets in only who knows an access key id, made for this run: on a machine with other users,
    /// the port alone is no protection.
    pub fn require_key(&self) -> String {
        self.require(new_key())
    }

    /// From here on, only requests with this access key id are answered.
    pub(crate) fn require(&self, key: String) -> String {
        self.inside().key = Some(key.clone());
        key
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.inside().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.inside().calls.clear();
    }

    /// Adds a delay to every answer.
    pub fn set_latency(&self, latency: Duration) {
        self.inside().latency = latency;
    }

    /// Holds every call back, before it takes effect, until [`Service::release_calls`].
    pub fn hold_calls(&self) {
        self.inner.hold.send_replace(true);
    }

    /// Lets the calls go on that were held back.
    pub fn release_calls(&self) {
        self.inner.hold.send_replace(false);
    }

    /// How many calls are being held back.
    pub fn held_calls(&self) -> usize {
        self.inner.held.load(Ordering::SeqCst)
    }

    /// Waits while calls are held back.
    pub(crate) async fn pass(&self) {
        let mut hold = self.inner.hold.subscribe();
        if *hold.borrow() {
            self.inner.held.fetch_add(1, Ordering::SeqCst);
            // The sender lives as long as this service.
            let _ = hold.wait_for(|hold| !hold).await;
            self.inner.held.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Makes calls fail; the rule is asked before and after each, with the number of calls since it
    /// was set.
    pub fn set_fault(&self, rule: impl FnMut(usize, &str, When) -> Option<Fault> + Send + 'static) {
        let mut inside = self.inside();
        inside.fault = Some(Box::new(rule));
        inside.count = 0;
    }

    /// Ends the faults.
    pub fn clear_fault(&self) {
        self.inside().fault = None;
    }

    /// Writes every change away before it is acknowledged.
    pub(crate) fn set_persist(
        &self,
        persist: impl Fn(&Change<'_>) -> anyhow::Result<()> + Send + 'static,
    ) {
        self.inside().store.set_persist(Box::new(persist));
    }

    /// Called when `RotateSecret` has staged a version.
    pub(crate) fn set_on_rotate(&self, on_rotate: impl Fn(StartRotation) + Send + 'static) {
        self.inside().on_rotate = Some(Box::new(on_rotate));
    }

    /// The requests that are understood, with their limits and errors, as JSON in the words of
    /// botocore's model.
    pub fn request_model() -> Value {
        model::as_json()
    }
}
