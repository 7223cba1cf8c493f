//! Tests of privileges on whole schemas.

use rotation_tests::oracle::{Fixture, on_release, quoted, rows, sql};

/// Privileges on whole schemas exist since 23ai. On earlier releases, every other test shows that
/// the function does not read them.
#[tokio::test]
async fn schema_privileges_are_granted_and_revoked() {
    on_release("23ai", |target| async move {
        let fixture = Fixture::new(&target).await?;
        let (user, master) = (quoted(&fixture.user), quoted(&fixture.master));
        let schema = format!("\"{} DATA\"", fixture.user.to_uppercase());
        let mut admin = target.admin().await?;
        let grant = format!("GRANT SELECT ANY TABLE ON SCHEMA {schema} TO {user}");
        if sql(&mut admin, &grant).await.is_err() {
            println!("skipped: the server does not support privileges on schemas");
            return Ok(());
        }
        sql(&mut admin, &format!("GRANT INSERT ANY TABLE ON SCHEMA {schema} TO {user} WITH ADMIN \
            OPTION"))
            .await?;
        let function = fixture.function("master-user");
        let remedy = format!("GRANT SELECT ANY TABLE ON SCHEMA {schema} TO {master} WITH ADMIN \
            OPTION");
        fixture.expect(&function, "PrivilegeMissing", &remedy).await?;
        sql(&mut admin, &format!("GRANT GRANT ANY SCHEMA PRIVILEGE TO {master}")).await?;
        assert_eq!(fixture.again(&function).await?.failed, None);

        let query =
            "SELECT privilege, schema, admin_option FROM dba_schema_privs WHERE grantee = :1 \
             ORDER BY 1";
        let alternate = quoted(&fixture.alternate()).replace('"', "");
        let wanted = rows(&mut admin, query, &user.replace('"', "")).await?;
        assert_eq!(wanted.len(), 2);
        assert_eq!(rows(&mut admin, query, &alternate).await?, wanted);
        sql(&mut admin, &format!("REVOKE INSERT ANY TABLE ON SCHEMA {schema} FROM {user}")).await?;
        fixture.rotate(&function).await?;
        assert_eq!(rows(&mut admin, query, &alternate).await?, wanted[1..]);
        Ok(())
    })
    .await;
}
