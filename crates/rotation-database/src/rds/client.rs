//! The client of the RDS API.

use aws_sdk_rds::Client;
use aws_sdk_rds::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rds::types::{DbCluster, DbInstance};
use rotation::{Context, Error, Result, refused};

use super::RdsServer;
use crate::host;

/// The maximum number of pages. With up to 100 servers on a page, it covers more servers than the
/// default quota of an account allows.
const MAX_PAGES: usize = 20;

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
            writer: host_of(instance).map(str::to_owned),
            port: instance.endpoint().and_then(|endpoint| endpoint.port()).and_then(port),
            engine: instance.engine().map(str::to_owned),
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
            writer: cluster.endpoint().map(str::to_owned),
            port: cluster.port().and_then(port),
            engine: cluster.engine().map(str::to_owned),
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
    matches!(
        error.code(),
        Some("DBInstanceNotFound" | "DBInstanceNotFoundFault" | "DBClusterNotFoundFault")
    )
}
