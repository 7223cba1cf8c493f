//! Lookups in the RDS API: the writer endpoint of a server and its reader endpoints.
//!
//! Identifiers come from the API, never from the first label of a host name, because any host can
//! have a name such as `db-1`.

use aws_sdk_rds::Client;
use aws_sdk_rds::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rds::types::{DbCluster, DbInstance};
use rotation::{Context, Error, Result, refused};

use crate::host;

/// The maximum number of pages. With up to 100 servers on a page, it covers more servers than the
/// default quota of an account allows.
const MAX_PAGES: usize = 20;

/// A server that RDS runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RdsServer {
    /// The host of the writer.
    pub(crate) writer: String,
    pub(crate) port: Option<u16>,
    /// The engine name of the API, such as `aurora-mysql` or `sqlserver-ee`.
    pub(crate) engine: String,
    /// The other hosts with the same data: reader endpoints, custom endpoints, instances and read
    /// replicas.
    pub(crate) readers: Vec<String>,
}

impl RdsServer {
    /// Returns `true` if a host belongs to the server.
    pub(crate) async fn has(&self, host: &str) -> bool {
        for own in std::iter::once(&self.writer).chain(&self.readers) {
            if host::is_same_machine(own, host).await {
                return true;
            }
        }
        false
    }
}

/// Returns `true` if RDS can have a server with this host name. If the environment sets another RDS
/// endpoint, every host is possible.
pub(crate) fn may_be_rds_host(host: &str) -> bool {
    let host = host::bare(host).to_ascii_lowercase();
    host.ends_with(".rds.amazonaws.com")
        || (host.contains(".rds.") && host.ends_with(".amazonaws.com.cn"))
        || std::env::var_os("AWS_ENDPOINT_URL_RDS").is_some()
}

/// A client of the RDS API.
pub(crate) struct Rds {
    client: Client,
    endpoint: String,
}

impl Rds {
    /// Creates a client with the function's own role. Returns `None` if the rotation runs without
    /// AWS.
    pub(crate) fn of(cx: &Context<'_>) -> Option<Self> {
        let config = cx.aws()?;
        let region = config.region().map_or("REGION", |region| region.as_ref());
        Some(Self {
            client: Client::new(config),
            endpoint: format!("https://rds.{region}.amazonaws.com"),
        })
    }

    /// Returns the server with this ARN, which is the ARN of an instance (`…:db:…`) or a cluster
    /// (`…:cluster:…`).
    pub(crate) async fn server(&self, arn: &str) -> Result<Option<RdsServer>> {
        if arn.contains(":cluster:") {
            return match self.clusters(Some(arn)).await?.first() {
                Some(cluster) => self.of_cluster(cluster).await.map(Some),
                None => Ok(None),
            };
        }
        match self.instances(Some(arn)).await?.first() {
            Some(instance) => self.of_instance(instance).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns the server whose writer endpoint is this host, if RDS runs it.
    pub(crate) async fn server_of_writer(&self, writer: &str) -> Result<Option<RdsServer>> {
        for cluster in self.clusters(None).await? {
            if cluster.endpoint().is_some_and(|endpoint| host::same(endpoint, writer)) {
                return self.of_cluster(&cluster).await.map(Some);
            }
        }
        for instance in self.instances(None).await? {
            if host_of(&instance).is_some_and(|endpoint| host::same(endpoint, writer)) {
                return self.of_instance(&instance).await.map(Some);
            }
        }
        Ok(None)
    }

    async fn of_instance(&self, instance: &DbInstance) -> Result<RdsServer> {
        let mut readers = Vec::new();
        // RDS lists a replica in another Region by its ARN. The API of this Region cannot describe
        // it.
        let here = instance
            .read_replica_db_instance_identifiers()
            .iter()
            .filter(|id| !id.starts_with("arn:"));
        for replica in here {
            let replicas = self.instances(Some(replica)).await?;
            readers.extend(replicas.iter().filter_map(host_of).map(str::to_owned));
        }
        Ok(RdsServer {
            writer: host_of(instance).unwrap_or_default().to_owned(),
            port: instance.endpoint().and_then(|endpoint| endpoint.port()).and_then(port),
            engine: instance.engine().unwrap_or_default().to_owned(),
            readers,
        })
    }

    async fn of_cluster(&self, cluster: &DbCluster) -> Result<RdsServer> {
        let mut readers: Vec<String> =
            cluster.reader_endpoint().map(str::to_owned).into_iter().collect();
        readers.extend(cluster.custom_endpoints().iter().cloned());
        for member in cluster.db_cluster_members() {
            if let Some(id) = member.db_instance_identifier() {
                let instances = self.instances(Some(id)).await?;
                readers.extend(instances.iter().filter_map(host_of).map(str::to_owned));
            }
        }
        Ok(RdsServer {
            writer: cluster.endpoint().unwrap_or_default().to_owned(),
            port: cluster.port().and_then(port),
            engine: cluster.engine().unwrap_or_default().to_owned(),
            readers,
        })
    }

    async fn instances(&self, id: Option<&str>) -> Result<Vec<DbInstance>> {
        let mut all = Vec::new();
        let mut marker = None;
        for _ in 0..MAX_PAGES {
            let request = self.client.describe_db_instances().set_marker(marker);
            let answer = request.set_db_instance_identifier(id.map(str::to_owned)).send().await;
            let page = match answer {
                Err(error) if is_missing(&error) => return Ok(all),
                answer => answer.map_err(|error| self.refused(&error, "DescribeDBInstances"))?,
            };
            all.extend(page.db_instances.unwrap_or_default());
            marker = page.marker;
            if marker.is_none() {
                break;
            }
        }
        Ok(all)
    }

    async fn clusters(&self, id: Option<&str>) -> Result<Vec<DbCluster>> {
        let mut all = Vec::new();
        let mut marker = None;
        for _ in 0..MAX_PAGES {
            let request = self.client.describe_db_clusters().set_marker(marker);
            let answer = request.set_db_cluster_identifier(id.map(str::to_owned)).send().await;
            let page = match answer {
                Err(error) if is_missing(&error) => return Ok(all),
                answer => answer.map_err(|error| self.refused(&error, "DescribeDBClusters"))?,
            };
            all.extend(page.db_clusters.unwrap_or_default());
            marker = page.marker;
            if marker.is_none() {
                break;
            }
        }
        Ok(all)
    }

    fn refused<E>(&self, error: &SdkError<E>, operation: &str) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        refused(error, &format!("rds:{operation}"), "*", &self.endpoint)
    }
}

fn host_of(instance: &DbInstance) -> Option<&str> {
    instance.endpoint().and_then(|endpoint| endpoint.address())
}

fn port(port: i32) -> Option<u16> {
    u16::try_from(port).ok()
}

fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let code = error.as_service_error().and_then(|error| error.meta().code());
    matches!(
        code,
        Some("DBInstanceNotFound" | "DBInstanceNotFoundFault" | "DBClusterNotFoundFault")
    )
}
