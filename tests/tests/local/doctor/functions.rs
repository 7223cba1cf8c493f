//! Tests of what Lambda shows about the functions, against moto.

use anyhow::{Context, Result, ensure};
use aws_sdk_secretsmanager::types::RotationRulesType;
use rotation_tests::child_process::ChildProcess;
use rotation_tests::local::{REGION, client, http};
use rotation_tests::sam::functions;
use rotation_tests::template::Template;
use serde_json::{Value, json};

use super::{Account, FINDINGS, Report};

/// A ZIP file without entries, in Base64.
const EMPTY_ZIP: &str = "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==";
const SAR: &str = "arn:aws:serverlessrepo:us-east-1:297356227824:applications";

/// An account in moto.
pub(super) struct Moto {
    pub(super) endpoint: String,
    _server: ChildProcess,
}

/// Returns the header of a request to a service of the Region. moto does not check signatures.
fn authorization(service: &str) -> String {
    let credential = format!("test/20261129/{REGION}/{service}/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential={credential}, Signature=0")
}

/// A function to create. Its secret has the same name.
struct Case<'a> {
    name: &'a str,
    runtime: &'a str,
    handler: &'a str,
    description: &'a str,
    tags: Value,
}

impl<'a> Case<'a> {
    fn python(name: &'a str, runtime: &'a str, description: &'a str, tags: Value) -> Self {
        Self { name, runtime, handler: "lambda_function.lambda_handler", description, tags }
    }
}

impl Moto {
    /// Starts moto with a role for functions.
    pub(super) async fn start() -> Result<Self> {
        let (server, endpoint) = rotation_tests::moto::server().await?;
        let moto = Self { endpoint, _server: server };
        moto.post("moto-api/config", "apigateway", r#"{"lambda": {"use_docker": false}}"#).await?;
        moto.query("iam", "Action=CreateRole&RoleName=r&AssumeRolePolicyDocument={}").await?;
        Ok(moto)
    }

    /// Sends a request of the Region to a service, and returns the response.
    pub(super) async fn post(&self, path: &str, service: &str, body: &str) -> Result<String> {
        let request = http()?.post(format!("{}/{path}", self.endpoint)).body(body.to_owned());
        let request = request.header("authorization", authorization(service));
        let form = if path.is_empty() { "x-www-form-urlencoded" } else { "json" };
        let request = request.header("content-type", format!("application/{form}"));
        let response = request.send().await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "{path} {body}: {text}");
        Ok(text)
    }

    /// Sends a request of the query protocol, which IAM and RDS have.
    pub(super) async fn query(&self, service: &str, parameters: &str) -> Result<String> {
        self.post("", service, parameters).await
    }

    async fn create_function(&self, case: &Case<'_>) -> Result<()> {
        let function = json!({
            "FunctionName": case.name, "Runtime": case.runtime, "Handler": case.handler,
            "Description": case.description, "Tags": case.tags,
            "Role": "arn:aws:iam::123456789012:role/r", "Code": {"ZipFile": EMPTY_ZIP},
        });
        self.post("2015-03-31/functions", "lambda", &function.to_string()).await.map(drop)
    }

    /// Creates a function, and a secret of the same name that it has rotated.
    pub(super) async fn create(&self, name: &str, runtime: &str, description: &str) -> Result<()> {
        self.create_all(&Case::python(name, runtime, description, json!({}))).await
    }

    async fn create_all(&self, case: &Case<'_>) -> Result<()> {
        self.create_function(case).await?;
        let sdk = client(&self.endpoint, "test", REGION);
        sdk.create_secret().name(case.name).secret_string("a-secret-value").send().await?;
        let arn = format!("arn:aws:lambda:{REGION}:123456789012:function:{}", case.name);
        let rules = RotationRulesType::builder().automatically_after_days(30).build();
        let rotate = sdk.rotate_secret().secret_id(case.name).rotation_lambda_arn(arn);
        rotate.rotation_rules(rules).send().await?;
        // moto does not remove AWSPENDING from the version that its functions promote.
        Ok(())
    }

    /// Runs `doctor`, and returns its report.
    async fn examine(&self, arguments: &[&str]) -> Result<Report> {
        let account = Account {
            variable: "AWS_ENDPOINT_URL",
            endpoint: &self.endpoint,
            region: REGION,
            key: ("test", "test"),
        };
        account.examine(arguments).await
    }
}

/// Each way to deploy AWS's functions has its own line.
#[tokio::test]
async fn functions_of_aws_get_the_line_that_replaces_them() -> Result<()> {
    let moto = Moto::start().await?;
    let application = |name: &str, stack: &str| {
        json!({
            "serverlessrepo:applicationId": format!("{SAR}/{name}"),
            "aws:cloudformation:stack-name": stack,
        })
    };
    let single = "SecretsManagerRDSPostgreSQLRotationSingleUser";
    let described = "Conducts an AWS SecretsManager secret rotation for RDS MariaDB using single \
        user rotation scheme";
    let hosted = json!({
        "aws:cloudformation:logical-id": "SecretsManagerRDSMySQLRotationMultiUser",
        "aws:cloudformation:stack-name": "Shop-Hosted-1X",
    });
    let redshift = application("SecretsManagerRedshiftRotationSingleUser", "Shop");
    for case in [
        Case::python("nested", "python3.9", "", application(single, "Shop-Rotation-1X")),
        Case::python("console", "python3.13", "", application(single, "serverlessrepo-shop")),
        Case::python("hosted", "python3.13", "", hosted),
        Case::python("described", "python3.13", described, json!({})),
        Case::python("redshift", "python3.13", "", redshift),
        Case::python("perhaps", "python3.13", "", json!({})),
        Case { handler: "index.handler", ..Case::python("own", "nodejs22.x", "", json!({})) },
    ] {
        moto.create_all(&case).await.with_context(|| case.name.to_owned())?;
    }
    let report = moto.examine(&["--function-name", "mine"]).await?;
    let account = format!("{REGION}:123456789012");
    let application = format!("arn:aws:serverlessrepo:{account}:applications/{single}");
    let aspect = "Aspects.of(app).add(new RotateWithKeywheel(".to_owned();
    for (name, status, function, lines) in [
        (
            "nested",
            "available",
            "PostgreSQLSingleUser",
            vec![aspect.clone(), format!("ApplicationId: {application}, SemanticVersion: ")],
        ),
        (
            "console",
            "available",
            "PostgreSQLSingleUser",
            vec![format!("application_id = \\\"{application}\\\"")],
        ),
        (
            "hosted",
            "available",
            "MySQLMasterUser",
            vec![
                aspect,
                format!(
                    "RotationLambdaARN: arn:aws:lambda:{account}:function:mine-MySQLMasterUser"
                ),
                "in the stack Shop-Hosted-1X".to_owned(),
            ],
        ),
        (
            "described",
            "available",
            "MariaDBSingleUser",
            vec![
                "module.rotation.rotation_lambda_arns[\\\"MariaDBSingleUser\\\"]".to_owned(),
                format!(
                    "--rotation-lambda-arn arn:aws:lambda:{account}:function:mine-\
                     MariaDBSingleUser --no-rotate-immediately"
                ),
            ],
        ),
        ("redshift", "none", "", vec!["no function for it".to_owned()]),
        ("perhaps", "undecided", "", vec!["`masterarn`".to_owned(), "mine-FUNCTION".into()]),
        ("own", "undecided", "", vec!["not one of AWS's functions".to_owned()]),
    ] {
        let found = &report.secret(name)?["replacement"];
        assert_eq!(found["status"], status, "{name}: {found}");
        if !function.is_empty() {
            assert_eq!(found["functions"], json!([function]), "{name}");
        }
        for line in lines {
            ensure!(report.replacement(name)?.contains(&line), "{line} is not in {found}");
        }
    }
    assert_eq!(report.findings("nested")?, ["RuntimeDeprecated"]);
    assert_eq!(report.code, Some(FINDINGS));
    assert_eq!(report.json["findings"], 1, "{}", report.text);
    assert_eq!(report.secret("nested")?["function"]["runtime"], "python3.9");
    assert_eq!(report.json["notKnown"], json!([]));
    Ok(())
}

/// The descriptions of `template.yaml` show its functions, and no other function is proposed.
#[tokio::test]
async fn functions_of_the_template_are_in_use() -> Result<()> {
    let moto = Moto::start().await?;
    let template = Template::read("template.yaml", &[])?;
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    for (number, function) in functions()?.into_iter().enumerate() {
        let properties = &template.document["Resources"][&function.id]["Properties"];
        let name = format!("function{number}");
        let description = properties["Description"].as_str().context("no description")?;
        moto.create(&name, "provided.al2023", description).await?;
        ids.push(function.id);
        names.push(name);
    }
    moto.create("unknown", "python3.13", "").await?;
    let report = moto.examine(&[]).await?;
    for name in &names {
        let replacement = &report.secret(name)?["replacement"];
        assert_eq!(replacement["status"], "inUse", "{name}: {replacement}");
        ensure!(replacement["lines"].to_string().contains("preflight"), "{replacement}");
    }
    let mut proposed: Vec<String> =
        serde_json::from_value(report.secret("unknown")?["replacement"]["functions"].clone())?;
    proposed.sort();
    ids.sort();
    assert_eq!(proposed, ids);
    assert_eq!(report.code, Some(0), "{}", report.text);
    Ok(())
}

#[tokio::test]
async fn deleted_function_and_managed_secret_are_recognized() -> Result<()> {
    let moto = Moto::start().await?;
    moto.create("gone", "python3.13", "").await?;
    let path = format!("{}/2015-03-31/functions/gone", moto.endpoint);
    let delete = http()?.delete(path).header("authorization", authorization("lambda"));
    delete.send().await?.error_for_status()?;

    let instance = "Action=CreateDBInstance&Version=2014-10-31&DBInstanceIdentifier=db\
        &Engine=postgres&DBInstanceClass=db.t3.micro&AllocatedStorage=20&MasterUsername=root\
        &ManageMasterUserPassword=true";
    moto.query("rds", instance).await?;
    let sdk = client(&moto.endpoint, "test", REGION);
    let listed = sdk.list_secrets().send().await?;
    let mut secrets = listed.secret_list().iter().filter_map(|secret| secret.name());
    let managed = secrets.find(|name| name.starts_with("rds!")).context("no managed secret")?;
    let rules = RotationRulesType::builder().automatically_after_days(7).build();
    sdk.rotate_secret().secret_id(managed).rotation_rules(rules).send().await?;

    let report = moto.examine(&[]).await?;
    assert_eq!(report.findings("gone")?, ["FunctionMissing"]);
    assert_eq!(report.secret("gone")?["function"]["status"], "missing");
    assert_eq!(report.secret("gone")?["replacement"]["status"], "undecided");
    assert_eq!(report.findings(managed)?, [""; 0]);
    let managed = report.secret(managed)?;
    assert_eq!(managed["owningService"], "rds");
    assert_eq!(managed["function"], Value::Null);
    assert_eq!(managed["replacement"]["status"], "none");
    Ok(())
}

/// The dates of deprecated runtimes are those that cfn-lint takes from AWS.
#[test]
fn dates_of_deprecated_runtimes_are_those_of_aws() -> Result<()> {
    use rotation_tests::{repository, tool};

    let print = "import cfnlint, pathlib; print(pathlib.Path(cfnlint.__file__).parent / \
        'data/AdditionalSpecs/LmbdRuntimeLifecycle.json')";
    let mut python = std::process::Command::new(tool("python"));
    let path = rotation_tests::child_process::output_of(python.args(["-c", print]))?;
    let dates: Value = serde_json::from_slice(&std::fs::read(String::from_utf8(path)?.trim())?)?;
    let source = "crates/rotation-local/src/doctor/runtimes.rs";
    let source = std::fs::read_to_string(repository().join(source))?;
    let dates = dates.as_object().context("no dates")?;
    let mut compared = 0;
    for (runtime, dates) in dates.iter().filter(|(runtime, _)| runtime.starts_with("python")) {
        let date = dates["deprecated"].as_str().context("no date")?;
        let date: Vec<u32> = date.split('-').map(str::parse).collect::<Result<_, _>>()?;
        let [year, month, day] = date[..] else { anyhow::bail!("{dates}") };
        let row = format!("(\"{runtime}\", ({year}, {month}, {day}))");
        ensure!(source.contains(&row), "{row} is not in the table");
        compared += 1;
    }
    ensure!(compared > 8, "only {compared} runtimes were compared");
    Ok(())
}
