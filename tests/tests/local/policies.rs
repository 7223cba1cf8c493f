//! Tests of the roles in `template.yaml` and `deploy/sar`: they evaluate the policies as IAM does,
//! for every call of the functions.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use rotation_tests::iam::allow;
use rotation_tests::repository;
use rotation_tests::sam::functions;
use rotation_tests::template::{ACCOUNT, ENGINES, REGION, Template, applications};
use serde_json::Value;

const MASTER: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:master-AbCdEf";
const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555";
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbCdEf";
/// A secret, a master secret and a key of another account.
const OTHER_ACCOUNT: &str = "210987654321";
const OTHER_SECRET: &str = "arn:aws:secretsmanager:eu-west-1:210987654321:secret:app-AbCdEf";
const OTHER_MASTER: &str = "arn:aws:secretsmanager:eu-west-1:210987654321:secret:master-AbCdEf";
const OTHER_KEY: &str =
    "arn:aws:kms:eu-west-1:210987654321:key/66666666-7777-8888-9999-000000000000";

const ROTATED_BY: &str = "secretsmanager:resource/AllowRotationLambdaArn";
const CALLER: &str = "lambda:SourceFunctionArn";
const ENCRYPTED_SECRET: &str = "kms:EncryptionContext:SecretARN";
const ASSUMED: &str = "arn:aws:iam::210987654321:role/rotation";
/// The operations on a secret that rotates.
const OPERATIONS: [&str; 5] = [
    "DescribeSecret",
    "GetSecretValue",
    "ListSecretVersionIds",
    "PutSecretValue",
    "UpdateSecretVersionStage",
];
const READS: [&str; 2] = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"];

/// Returns the operations that the shared crate calls.
fn operations() -> Result<BTreeSet<String>> {
    let source = std::fs::read_to_string(repository().join("crates/rotation/src/manager.rs"))?;
    let source: String = source.split_whitespace().collect();
    let names = source
        .split("client.")
        .skip(1)
        .filter_map(|rest| rest.split_once("()").map(|(name, _)| name));
    let pascal = |name: &str| {
        name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect::<String>()
    };
    Ok(names
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .map(pascal)
        .collect())
}

/// A function of a stack and the statements of its role.
struct Role {
    /// The logical ID of the function.
    id: String,
    arn: String,
    /// The function's role may read master secrets.
    is_master: bool,
    statements: Vec<Value>,
}

impl Role {
    /// Evaluates a request of the function itself.
    fn may(&self, action: &str, resource: &str, context: &[(&str, &str)]) -> bool {
        let context = [context, &[(CALLER, &self.arn)]].concat();
        allow(&self.statements, action, resource, &context)
    }

    fn may_decrypt(&self, key: &str, secret: &str) -> bool {
        self.may("kms:Decrypt", key, &[(ENCRYPTED_SECRET, secret)])
    }
}

/// Returns the roles of `template.yaml` and of all templates in `deploy/sar`.
fn roles(given: &[(&str, &str)]) -> Result<Vec<Role>> {
    let all: Vec<_> =
        ENGINES.iter().map(|name| (*name, "true")).chain(given.iter().copied()).collect();
    let template = Template::read("template.yaml", &all)?;
    let arn = |name: &str| format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}");
    let mut roles = Vec::new();
    for function in functions()? {
        let statements = template.statements(&function.id)?.context("the function has no role")?;
        roles.push(Role {
            arn: arn(&format!("secrets-rotation-{}", function.id)),
            is_master: function.id.ends_with("MasterUser"),
            id: function.id,
            statements,
        });
    }
    for id in applications()? {
        let path = format!("deploy/sar/{id}.yaml");
        let is_master = !id.ends_with("SingleUser");
        let declared = Template::read(&path, &[("functionName", "f")])?;
        let has = |name: &str| !declared.document["Parameters"][name].is_null();
        let given: Vec<_> = given.iter().copied().filter(|(name, _)| has(name)).collect();
        let given = [given, vec![("functionName", "f")]].concat();
        let template = Template::read(&path, &given)?;
        let statements = template.statements(&id)?.context("the function has no role")?;
        roles.push(Role { arn: arn("f"), is_master, id, statements });
    }
    ensure!(roles.len() == 22);
    Ok(roles)
}

/// The role can read nothing until rotation names the function. Therefore the documentation turns
/// rotation on first and then invokes preflight.
#[test]
fn roles_allow_every_call_of_the_functions_and_no_other() -> Result<()> {
    let expected: BTreeSet<_> =
        OPERATIONS.iter().chain(&["GetRandomPassword"]).map(|name| (*name).to_owned()).collect();
    assert_eq!(operations()?, expected);
    for role in roles(&[("masterSecretArn", MASTER), ("kmsKeyArn", KEY)])? {
        let id = &role.id;
        for operation in OPERATIONS {
            let action = format!("secretsmanager:{operation}");
            let rotated_by = |arn: &str| role.may(&action, SECRET, &[(ROTATED_BY, arn)]);
            assert!(rotated_by(&role.arn), "{id} may not {action} when rotation names it");
            assert!(!rotated_by("another"), "{id} may {action} of another function's secrets");
            let of_another_account = [(ROTATED_BY, &*role.arn)];
            assert!(!role.may(&action, OTHER_SECRET, &of_another_account), "{id} {action}");
            if !role.is_master {
                assert!(!role.may(&action, SECRET, &[]), "{id} may {action} without rotation");
            }
        }
        assert!(role.may("secretsmanager:GetRandomPassword", "*", &[]), "{id}");
        for operation in ["DeleteSecret", "RotateSecret", "PutResourcePolicy"] {
            let action = format!("secretsmanager:{operation}");
            let context = [(ROTATED_BY, &*role.arn)];
            assert!(!role.may(&action, SECRET, &context), "{id} may {action}");
        }
        for action in READS {
            assert_eq!(role.may(action, MASTER, &[]), role.is_master, "{id} {action} of MASTER");
            assert!(!role.may(action, SECRET, &[]), "{id} {action}");
        }
        assert!(!role.may("secretsmanager:PutSecretValue", MASTER, &[]), "{id}");
        for action in ["rds:DescribeDBInstances", "rds:DescribeDBClusters"] {
            assert_eq!(role.may(action, "*", &[]), role.is_master, "{id} {action}");
        }
        for action in ["kms:Decrypt", "kms:GenerateDataKey"] {
            assert!(role.may(action, KEY, &[(ENCRYPTED_SECRET, SECRET)]), "{id} {action}");
            assert!(!role.may(action, KEY, &[(ENCRYPTED_SECRET, OTHER_SECRET)]), "{id} {action}");
            assert!(!role.may(action, KEY, &[]), "{id} {action} without an encryption context");
        }
        assert!(!role.may("ec2:CreateNetworkInterface", "*", &[]), "{id}");
    }
    Ok(())
}

#[test]
fn several_masters_and_keys_of_two_accounts_are_readable() -> Result<()> {
    let masters = format!("{MASTER},{OTHER_MASTER}");
    let keys = format!("{KEY},{OTHER_KEY}");
    for (secrets, keys_of) in [
        ("masterSecretArn", "masterSecretKmsKeyArn"),
        ("superuserSecretArn", "superuserSecretKmsKeyArn"),
        ("superuserSecretArn", "masterSecretKmsKeyArn"),
    ] {
        for role in roles(&[(secrets, &masters), (keys_of, &keys)])? {
            for (master, key) in [(MASTER, KEY), (OTHER_MASTER, OTHER_KEY)] {
                let id = &role.id;
                for action in READS {
                    assert_eq!(role.may(action, master, &[]), role.is_master, "{id} {action}");
                }
                assert_eq!(role.may_decrypt(key, master), role.is_master, "{id} {master}");
                // The key of a master secret decrypts nothing else.
                assert!(!role.may_decrypt(key, OTHER_SECRET), "{id} {key}");
                assert!(!role.may("kms:GenerateDataKey", key, &[(ENCRYPTED_SECRET, master)]));
            }
        }
    }
    Ok(())
}

#[test]
fn tag_selects_the_master_secrets() -> Result<()> {
    let tag = "secretsmanager:ResourceTag/rotation-master";
    for role in roles(&[("masterSecretTag", "billing"), ("masterSecretKmsKeyArn", KEY)])? {
        let id = &role.id;
        for action in READS {
            assert_eq!(role.may(action, MASTER, &[(tag, "billing")]), role.is_master, "{id}");
            assert!(!role.may(action, MASTER, &[(tag, "payments")]), "{id}");
            assert!(!role.may(action, MASTER, &[]), "{id} {action} of an untagged secret");
            assert!(!role.may(action, OTHER_MASTER, &[(tag, "billing")]), "{id}");
        }
        assert_eq!(role.may_decrypt(KEY, MASTER), role.is_master, "{id}");
        // A secret of an account that is not listed, and one of another Region.
        assert!(!role.may_decrypt(KEY, OTHER_MASTER), "{id}");
        assert!(!role.may_decrypt(KEY, &MASTER.replace(REGION, "us-east-1")), "{id}");
    }
    Ok(())
}

#[test]
fn tag_and_list_of_masters_add_up() -> Result<()> {
    for list in ["masterSecretArn", "superuserSecretArn"] {
        let given = [
            ("masterSecretTag", "billing"),
            (list, OTHER_MASTER),
            ("masterSecretKmsKeyArn", KEY),
            ("superuserSecretKmsKeyArn", OTHER_KEY),
        ];
        for role in roles(&given)? {
            let id = &role.id;
            for key in [KEY, OTHER_KEY] {
                assert_eq!(role.may_decrypt(key, MASTER), role.is_master, "{id} {list}");
                assert_eq!(role.may_decrypt(key, OTHER_MASTER), role.is_master, "{id} {list}");
                assert!(!role.may_decrypt(key, OTHER_SECRET), "{id} {list}");
            }
        }
    }
    Ok(())
}

#[test]
fn secrets_of_listed_accounts_rotate_and_no_other() -> Result<()> {
    let accounts = format!("{OTHER_ACCOUNT},333333333333");
    for role in roles(&[("secretAccountIds", &accounts), ("kmsKeyArn", OTHER_KEY)])? {
        let id = &role.id;
        let context = |account| [("aws:ResourceAccount", account), (ROTATED_BY, &*role.arn)];
        for operation in OPERATIONS {
            let action = format!("secretsmanager:{operation}");
            assert!(role.may(&action, SECRET, &context(ACCOUNT)), "{id} {action}");
            assert!(role.may(&action, OTHER_SECRET, &context(OTHER_ACCOUNT)), "{id} {action}");
            let third = OTHER_SECRET.replace(OTHER_ACCOUNT, "444444444444");
            assert!(!role.may(&action, &third, &context("444444444444")), "{id} {action}");
            let unrotated = [("aws:ResourceAccount", OTHER_ACCOUNT)];
            assert!(!role.may(&action, OTHER_SECRET, &unrotated), "{id} {action}");
        }
        for account in [ACCOUNT, OTHER_ACCOUNT, "333333333333"] {
            let secret = OTHER_SECRET.replace(OTHER_ACCOUNT, account);
            assert!(role.may_decrypt(OTHER_KEY, &secret), "{id} {account}");
        }
        let third = OTHER_SECRET.replace(OTHER_ACCOUNT, "444444444444");
        assert!(!role.may_decrypt(OTHER_KEY, &third), "{id}");
        for (from, to) in [(REGION, "us-east-1"), ("arn:aws:", "arn:aws-cn:")] {
            let foreign = OTHER_SECRET.replace(from, to);
            assert!(!role.may_decrypt(OTHER_KEY, &foreign), "{id} {foreign}");
        }
    }
    Ok(())
}

#[test]
fn keys_of_replicas_encrypt_secrets_of_the_region_and_nothing_else() -> Result<()> {
    for role in roles(&[("replicaKmsKeyArn", OTHER_KEY)])? {
        let id = &role.id;
        let may = |action, key, secret| role.may(action, key, &[(ENCRYPTED_SECRET, secret)]);
        for secret in [SECRET, OTHER_SECRET] {
            assert!(may("kms:Encrypt", OTHER_KEY, secret), "{id} {secret}");
            assert!(!may("kms:Decrypt", OTHER_KEY, secret), "{id} {secret}");
            assert!(!may("kms:Encrypt", KEY, secret), "{id} {secret}");
        }
        assert!(!role.may("kms:Encrypt", OTHER_KEY, &[]), "{id} encrypts anything");
        let foreign = OTHER_SECRET.replace(REGION, "us-east-1");
        assert!(!may("kms:Encrypt", OTHER_KEY, &foreign), "{id} {foreign}");
    }
    Ok(())
}

#[test]
fn credentials_work_only_in_their_own_function() -> Result<()> {
    let given = [("masterSecretArn", MASTER), ("assumeRoleArn", ASSUMED)];
    for role in roles(&given)? {
        let id = &role.id;
        assert!(role.may("sts:AssumeRole", ASSUMED, &[]), "{id}");
        assert!(!role.may("sts:AssumeRole", &format!("{ASSUMED}2"), &[]), "{id}");
        let rotated = (ROTATED_BY, &*role.arn);
        for caller in [None, Some((CALLER, "arn:aws:lambda:eu-west-1:123456789012:function:x"))] {
            let context: Vec<_> = [rotated].into_iter().chain(caller).collect();
            for operation in OPERATIONS {
                let action = format!("secretsmanager:{operation}");
                assert!(!allow(&role.statements, &action, SECRET, &context), "{id} {action}");
            }
            for action in READS {
                assert!(!allow(&role.statements, action, MASTER, &context), "{id} {action}");
            }
            assert!(!allow(&role.statements, "rds:DescribeDBInstances", "*", &context), "{id}");
            assert!(!allow(&role.statements, "sts:AssumeRole", ASSUMED, &context), "{id}");
        }
    }
    let off = [("denyCredentialsElsewhere", "false"), ("masterSecretArn", MASTER)];
    for role in roles(&off)? {
        let context = [(ROTATED_BY, &*role.arn)];
        assert!(allow(&role.statements, READS[0], SECRET, &context), "{}", role.id);
    }
    Ok(())
}

#[test]
fn lambda_creates_network_interfaces_and_the_code_does_not() -> Result<()> {
    for role in roles(&[("vpcSubnetIds", "subnet-1"), ("vpcSecurityGroupIds", "sg-1,sg-2")])? {
        let action = "ec2:CreateNetworkInterface";
        assert!(allow(&role.statements, action, "*", &[]), "{}", role.id);
        assert!(!role.may(action, "*", &[]), "{}", role.id);
    }
    Ok(())
}

#[test]
fn permissions_boundary_and_role_of_your_own_are_used() -> Result<()> {
    let boundary = "arn:aws:iam::123456789012:policy/boundary";
    let template = Template::read("template.yaml", &[("customPermissionBoundary", boundary)])?;
    let role = template.resource("PostgreSQLSingleUserRole").context("no role")?;
    assert_eq!(role["Properties"]["PermissionsBoundary"], boundary);
    let plain = Template::read("template.yaml", &[])?;
    let role = plain.resource("PostgreSQLSingleUserRole").context("no role")?;
    assert!(role["Properties"].get("PermissionsBoundary").is_none());

    let path = "deploy/sar/SecretsManagerRDSPostgreSQLRotationMultiUser.yaml";
    let id = "SecretsManagerRDSPostgreSQLRotationMultiUser";
    let given = [("functionName", "f"), ("customPermissionBoundary", boundary)];
    let template = Template::read(path, &given)?;
    let role = template.resource(&format!("{id}Role")).context("no role")?;
    assert_eq!(role["Properties"]["PermissionsBoundary"], boundary);
    let existing = "arn:aws:iam::123456789012:role/existing";
    let template = Template::read(path, &[("functionName", "f"), ("rotationRoleArn", existing)])?;
    assert!(template.resource(&format!("{id}Role")).is_none());
    let function = template.resource(id).context("no function")?;
    assert_eq!(function["Properties"]["Role"], existing);
    Ok(())
}

#[test]
fn only_secrets_manager_of_the_account_may_invoke_the_functions() -> Result<()> {
    let template = Template::read("template.yaml", &[])?;
    let sar = Template::read(
        "deploy/sar/SecretsManagerRDSMySQLRotationSingleUser.yaml",
        &[("functionName", "f")],
    )?;
    for permission in
        [template.resource("PostgreSQLSingleUserPermission"), sar.resource("LambdaPermission")]
    {
        let permission = permission.context("no permission")?;
        assert_eq!(permission["Properties"]["Action"], "lambda:InvokeFunction");
        assert_eq!(permission["Properties"]["Principal"], "secretsmanager.amazonaws.com");
        assert_eq!(permission["Properties"]["SourceAccount"], ACCOUNT);
    }
    Ok(())
}
