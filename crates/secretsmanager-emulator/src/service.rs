//! The running service: its address, its state, and the faults that a test injects.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::calls::{Call, CallLog};
use crate::clock::Clock;
use crate::error::ServiceError;
use crate::operations::StartRotation;
use crate::registry;
use crate::replication_queue::ReplicationControl;
use crate::request::Request;
use crate::scope::Scope;
use crate::secret::{Secret, SecretValue};
use crate::store::{Change, Store};

/// The region of a request that does not name one.
pub const REGION: &str = "us-east-1";

/// The maximum size of a request in bytes. It has room for a value of 65,536 bytes, each of which
/// JSON can escape to six.
pub(crate) const MAX_REQUEST_BYTES: usize = 512 * 1024;

/// The number of generated passwords that the service remembers so that output can be redacted.
const MAX_GENERATED_PASSWORDS: usize = 1000;

/// The moment of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The fault occurs before the operation takes effect.
    Before,
    /// The operation takes effect, and then its response is lost.
    After,
}

/// A fault that a test injects.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The service returns this error.
    Refuse(ServiceError),
    /// The service never responds.
    Hang,
}

/// Decides whether a call fails, given its number (from 0) and its operation.
type FaultRule = Box<dyn FnMut(usize, &str, When) -> Option<Fault> + Send>;
/// Starts a rotation whose version `RotateSecret` has staged.
type OnRotate = Box<dyn Fn(StartRotation) + Send>;

/// The service. Clones share their state.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    address: SocketAddr,
    state: Mutex<Inside>,
    /// `true` while the service holds calls back.
    hold: watch::Sender<bool>,
    /// The number of calls that are held back.
    held: AtomicUsize,
}

#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) calls: CallLog,
    /// The passwords that `GetRandomPassword` has returned, newest last.
    made: VecDeque<String>,
    pub(crate) count: usize,
    pub(crate) latency: Duration,
    pub(crate) fault: Option<FaultRule>,
    /// The access key id that every request must have. `None` accepts any.
    pub(crate) key: Option<String>,
    on_rotate: Option<OnRotate>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("address", &self.inner.address).finish()
    }
}

/// Generates an access key id that cannot be guessed.
pub(crate) fn new_key() -> String {
    format!("LOCAL{}", uuid::Uuid::new_v4().simple()).to_uppercase()
}

impl Service {
    /// Starts the service on 127.0.0.1 and records every call. Port 0 picks a free port.
    ///
    /// # Errors
    /// Returns an error if the port is in use.
    pub async fn start(port: u16) -> anyhow::Result<Self> {
        let (service, listener) = Self::bind(IpAddr::V4(Ipv4Addr::LOCALHOST), port).await?;
        service.record_calls(usize::MAX);
        service.open(listener, Router::new());
        Ok(service)
    }

    /// Binds the service to an address. It does not answer requests until [`Service::open`].
    ///
    /// # Errors
    /// Returns an error if the port is in use.
    pub async fn bind(address: IpAddr, port: u16) -> anyhow::Result<(Self, TcpListener)> {
        let listener = TcpListener::bind((address, port)).await.with_context(|| {
            format!(
                "could not listen on {address}:{port}; if another process uses the port, choose \
                 another one with --port"
            )
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

    /// Returns the URL of the service, such as `http://127.0.0.1:4680`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// Returns the port that the service listens on.
    pub fn port(&self) -> u16 {
        self.inner.address.port()
    }

    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls a function with the store, which it can read and change.
    pub fn with_store<T>(&self, look: impl FnOnce(&mut Store) -> T) -> T {
        look(&mut self.inside().store)
    }

    /// Replaces the store, and starts a clock that runs `time_scale` times as fast as the system
    /// clock.
    pub fn initialize_store(&self, store: Store, time_scale: f64) {
        let mut inside = self.inside();
        inside.store = store;
        inside.clock = Clock::scaled(time_scale);
    }

    /// Performs an operation without HTTP, in the region `us-east-1`.
    ///
    /// # Errors
    /// Returns the error that the service would answer with.
    pub fn perform(&self, operation: &str, body: &Value) -> Result<Value, ServiceError> {
        self.perform_in(REGION, operation, body)
    }

    /// Performs an operation in a region. If the operation demands a `ClientRequestToken`, it is
    /// generated, as the SDKs do.
    ///
    /// # Errors
    /// Returns the error that the service would answer with.
    pub fn perform_in(
        &self,
        region: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, ServiceError> {
        let mut body = Cow::Borrowed(body);
        if body.is_object() && registry::missing_token(operation, &body).is_some() {
            body.to_mut()["ClientRequestToken"] = uuid::Uuid::new_v4().to_string().into();
        }
        self.perform_request(None, region, operation, &body)
    }

    /// Performs an operation as a client has sent it. The account `None` is the service's own.
    pub(crate) fn perform_request(
        &self,
        account: Option<&str>,
        region: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, ServiceError> {
        let mut inside = self.inside();
        let account = account.filter(|account| *account != inside.store.account());
        let request = Request { scope: Scope { account, region }, now: inside.clock.now(), body };
        if let Some(error) = registry::missing_token(operation, body) {
            return Err(error);
        }
        let done = registry::perform(operation, &mut inside.store, &request)?;
        if let (Some(start), Some(on_rotate)) = (done.start, &inside.on_rotate) {
            on_rotate(start);
        }
        if let Some(password) = done.answer.get("RandomPassword").and_then(Value::as_str) {
            inside.made.push_back(password.to_owned());
            let surplus = inside.made.len().saturating_sub(MAX_GENERATED_PASSWORDS);
            inside.made.drain(..surplus);
        }
        done.refused.map_or(Ok(done.answer), Err)
    }

    /// Delays replication to a destination, or makes it fail. The destination is a region, such as
    /// `eu-west-1`, or the id of an account. Clients call this with the operation
    /// `Emulator.ControlReplication`.
    pub fn control_replication(&self, destination: &str, control: ReplicationControl) {
        self.inside().store.replications.set_control(destination, control);
    }

    /// Stores a secret under a given ARN. The secret is in `us-east-1`, even if the ARN names
    /// another region.
    ///
    /// # Errors
    /// Returns the error that the service would answer with.
    pub fn put_secret(&self, name: &str, arn: &str, value: &str) -> Result<(), ServiceError> {
        let mut inside = self.inside();
        let now = inside.clock.now();
        let known = inside.store.find(Scope::own(REGION), name).ok().cloned();
        let mut secret = known.unwrap_or_else(|| Secret::new(REGION, name, arn.to_owned(), now));
        let token = uuid::Uuid::new_v4().to_string();
        secret.put(token, SecretValue::Text(value.to_owned()), None, now)?;
        inside.store.save(secret)
    }

    /// Adds a tag whose key begins with `aws:`, which only AWS's own services can do.
    ///
    /// # Errors
    /// Returns the error that the service would answer with.
    pub fn put_reserved_tag(&self, id: &str, key: &str, value: &str) -> Result<(), ServiceError> {
        self.inside().store.edit(Scope::own(REGION), id, |secret, _| {
            secret.tags.insert(key.to_owned(), value.to_owned());
            secret.was_tagged = true;
            Ok(())
        })
    }

    /// Returns the passwords that were generated recently. They must be redacted even before they
    /// are stored in a secret.
    pub fn generated_passwords(&self) -> Vec<String> {
        self.inside().made.iter().cloned().collect()
    }

    /// Returns the real time that the service's clock takes to advance by `seconds`.
    pub fn real_time(&self, seconds: f64) -> Duration {
        self.inside().clock.real(seconds)
    }

    /// Sets the names of the functions that exist.
    pub fn set_functions(&self, names: BTreeSet<String>) {
        self.inside().store.functions = Some(names);
    }

    /// Requires an access key id that is generated for this run, and returns it. On a machine with
    /// other users, the port alone does not protect the secrets.
    pub fn require_key(&self) -> String {
        self.require(new_key())
    }

    /// Requires this access key id of every request, and returns it.
    pub fn require(&self, key: String) -> String {
        self.inside().key = Some(key.clone());
        key
    }

    /// Records the most recent calls, up to this number.
    pub fn record_calls(&self, most: usize) {
        self.inside().calls.most = most;
    }

    /// Returns the recorded calls, newest last.
    pub fn calls(&self) -> Vec<Call> {
        self.inside().calls.calls.iter().cloned().collect()
    }

    /// Returns the recorded calls that arrived at or after a time, newest last.
    pub fn calls_since(&self, time: Instant) -> Vec<Call> {
        let inside = self.inside();
        inside.calls.calls.iter().filter(|call| call.from >= time).cloned().collect()
    }

    /// Deletes the recorded calls.
    pub fn clear_calls(&self) {
        self.inside().calls.calls.clear();
    }

    /// Adds a delay to every response.
    pub fn set_latency(&self, latency: Duration) {
        self.inside().latency = latency;
    }

    /// Holds every call back, before it takes effect, until [`Service::release_calls`] is called.
    pub fn hold_calls(&self) {
        self.inner.hold.send_replace(true);
    }

    /// Resumes the calls that were held back.
    pub fn release_calls(&self) {
        self.inner.hold.send_replace(false);
    }

    /// Returns the number of calls that are held back.
    pub fn held_calls(&self) -> usize {
        self.inner.held.load(Ordering::SeqCst)
    }

    /// Waits while calls are held back.
    pub(crate) async fn pass(&self) {
        let mut hold = self.inner.hold.subscribe();
        if *hold.borrow() {
            self.inner.held.fetch_add(1, Ordering::SeqCst);
            // This cannot fail: the sender lives as long as the service.
            let _ = hold.wait_for(|hold| !hold).await;
            self.inner.held.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Makes calls fail as the rule decides. It is evaluated before and after each call, with the
    /// number of calls since it was set.
    pub fn set_fault(&self, rule: impl FnMut(usize, &str, When) -> Option<Fault> + Send + 'static) {
        let mut inside = self.inside();
        inside.fault = Some(Box::new(rule));
        inside.count = 0;
    }

    /// Removes the fault rule.
    pub fn clear_fault(&self) {
        self.inside().fault = None;
    }

    /// Sets the function that persists every change before it is acknowledged.
    pub fn set_persist(
        &self,
        persist: impl Fn(&Change<'_>) -> anyhow::Result<()> + Send + 'static,
    ) {
        self.inside().store.set_persist(Box::new(persist));
    }

    /// Sets the function that is called when `RotateSecret` has staged a version.
    pub fn set_on_rotate(&self, on_rotate: impl Fn(StartRotation) + Send + 'static) {
        self.inside().on_rotate = Some(Box::new(on_rotate));
    }

    /// Returns the operations with their members, limits and errors as JSON, in the terms of
    /// botocore's model.
    pub fn request_model() -> Value {
        registry::as_json()
    }
}
