use super::*;

fn grants(rows: &[&str]) -> Grants {
    parse(&rows.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

fn statements(from: &[&str], to: &[&str]) -> Vec<String> {
    grants(from).changes_to(&grants(to)).iter().map(|change| change.statement("{}")).collect()
}

const RICH: &[&str] = &[
    "GRANT USAGE ON *.* TO `a b`@`%` IDENTIFIED BY PASSWORD '*24' REQUIRE SSL WITH \
     MAX_USER_CONNECTIONS 7",
    "GRANT BACKUP_ADMIN ON *.* TO `a b`@`%`",
    "GRANT ROLE_ADMIN ON *.* TO `a b`@`%` WITH GRANT OPTION",
    r"GRANT SELECT, INSERT ON `d\_b`.* TO `a b`@`%` WITH GRANT OPTION",
    "GRANT SELECT (`a`), UPDATE (`a`, `b``c`) ON `d1`.`t TO x` TO `a b`@`%` WITH GRANT OPTION",
    "GRANT CREATE TEMPORARY TABLES ON `d2`.* TO `a b`@`%`",
    "GRANT EXECUTE ON PROCEDURE `sys`.`p` TO `a b`@`%`",
    "GRANT PROXY ON `root`@`localhost` TO `a b`@`%` WITH GRANT OPTION",
    "REVOKE SELECT ON `mysql`.* FROM `a b`@`%`",
    "GRANT `r1`@`%`,`r2`@`%` TO `a b`@`%` WITH ADMIN OPTION",
    "SET DEFAULT ROLE `r1` FOR `a b`@`%`",
];

#[test]
fn account_without_grants_gets_every_grant() {
    assert_eq!(
        statements(&[], RICH),
        [
            "GRANT EXECUTE ON PROCEDURE `sys`.`p` TO {}",
            "GRANT SELECT (`a`), UPDATE (`a`) ON `d1`.`t TO x` TO {} WITH GRANT OPTION",
            "GRANT UPDATE (`b``c`) ON `d1`.`t TO x` TO {} WITH GRANT OPTION",
            "GRANT CREATE TEMPORARY TABLES ON `d2`.* TO {}",
            r"GRANT INSERT, SELECT ON `d\_b`.* TO {} WITH GRANT OPTION",
            "REVOKE SELECT ON `mysql`.* FROM {}",
            "GRANT BACKUP_ADMIN ON *.* TO {}",
            "GRANT ROLE_ADMIN ON *.* TO {} WITH GRANT OPTION",
            "GRANT `r1`@`%` TO {} WITH ADMIN OPTION",
            "GRANT `r2`@`%` TO {} WITH ADMIN OPTION",
            "GRANT PROXY ON `root`@`localhost` TO {} WITH GRANT OPTION",
        ]
    );
    assert_eq!(grants(RICH).default_role.as_deref(), Some("`r1`"));
}

#[test]
fn equal_grants_need_no_change() {
    assert!(statements(RICH, RICH).is_empty());
}

#[test]
fn extra_grants_are_revoked() {
    assert_eq!(
        statements(
            &["GRANT SELECT, INSERT ON `d`.* TO `x`@`%` WITH GRANT OPTION", "GRANT `r` TO `x`@`%`"],
            &["GRANT SELECT ON `d`.* TO `a`@`%`"]
        ),
        [
            "REVOKE INSERT ON `d`.* FROM {}",
            "REVOKE GRANT OPTION ON `d`.* FROM {}",
            "REVOKE `r` FROM {}"
        ]
    );
}

#[test]
fn losing_an_option_interrupts_and_gaining_one_does_not() {
    let (with, without) =
        (&["GRANT `r` TO `x`@`%` WITH ADMIN OPTION"][..], &["GRANT `r` TO `x`@`%`"][..]);
    assert_eq!(statements(without, with), ["GRANT `r` TO {} WITH ADMIN OPTION"]);
    assert_eq!(statements(with, without), ["REVOKE `r` FROM {}", "GRANT `r` TO {}"]);
    let changes = grants(with).changes_to(&grants(without));
    // The grant interrupts, too: it restores what the revoke took away.
    assert_eq!(changes.iter().map(|change| change.interrupts).collect::<Vec<_>>(), [true, true]);
    assert_eq!(changes[1].needs_option, ADMIN_OPTION);
    let changes = grants(without).changes_to(&grants(with));
    assert_eq!(changes.iter().map(|change| change.interrupts).collect::<Vec<_>>(), [false]);
}

#[test]
fn narrowing_all_privileges_interrupts_with_its_new_grants() {
    let all = &["GRANT ALL PRIVILEGES ON `d`.* TO `x`@`%`"][..];
    let some = &["GRANT SELECT ON `d`.* TO `x`@`%`", "GRANT INSERT ON `e`.* TO `x`@`%`"][..];
    let changes = grants(all).changes_to(&grants(some));
    let interrupting = changes.iter().filter(|change| change.interrupts);
    let shown: Vec<_> = interrupting.map(|change| change.statement("{}")).collect();
    assert_eq!(shown, ["REVOKE ALL PRIVILEGES ON `d`.* FROM {}", "GRANT SELECT ON `d`.* TO {}"]);
}

#[test]
fn all_privileges_are_converted_in_both_directions() {
    let all = &["GRANT ALL PRIVILEGES ON `d`.* TO `x`@`%`"][..];
    let some = &["GRANT SELECT ON `d`.* TO `x`@`%`"][..];
    assert_eq!(
        statements(all, some),
        ["REVOKE ALL PRIVILEGES ON `d`.* FROM {}", "GRANT SELECT ON `d`.* TO {}"]
    );
    assert_eq!(statements(some, all), ["GRANT ALL PRIVILEGES ON `d`.* TO {}"]);
}

/// Executes a statement as a server does.
fn execute(has: &mut Grants, statement: &str) {
    let as_grant = statement.replace("REVOKE ", "GRANT ").replace(" FROM {}", " TO {}");
    let what = grants(&[&as_grant.replace("{}", "`x`@`%`")]);
    if statement.starts_with("GRANT ") {
        for (object, granted) in what.objects {
            let mut privileges = granted.privileges;
            if let Some(restricted) = has.restrictions.get_mut(&object) {
                // A grant of what was revoked in part only removes the restriction.
                privileges.retain(|one| !restricted.remove(&one.name));
            }
            let all = Privilege { name: ALL.to_owned(), column: None };
            let of_object = has.objects.entry(object).or_default();
            of_object.privileges.extend(privileges);
            of_object.grant_option |= granted.grant_option;
            if of_object.privileges.contains(&all) {
                of_object.privileges.retain(|one| *one == all || one.column.is_some());
            }
        }
        for (has, granted) in [
            (&mut has.dynamic, what.dynamic),
            (&mut has.roles, what.roles),
            (&mut has.proxies, what.proxies),
        ] {
            for (name, option) in granted {
                *has.entry(name).or_default() |= option;
            }
        }
        return;
    }
    let is_option = statement.contains("GRANT OPTION");
    for (object, revoked) in what.objects {
        let of_object = has.objects.entry(object.clone()).or_default();
        of_object.grant_option &= !is_option;
        for privilege in revoked.privileges {
            match privilege.name.as_str() {
                "GRANT OPTION" => {}
                ALL => of_object.privileges.clear(),
                name if !of_object.privileges.remove(&privilege) => {
                    has.restrictions.entry(object.clone()).or_default().insert(name.to_owned());
                }
                _ => {}
            }
        }
    }
    for (has, revoked) in [
        (&mut has.dynamic, what.dynamic),
        (&mut has.roles, what.roles),
        (&mut has.proxies, what.proxies),
    ] {
        has.retain(|name, _| !revoked.contains_key(name));
    }
}

/// Grants with any of these rows, with and without the option.
fn some_grants() -> impl proptest::strategy::Strategy<Value = Vec<String>> {
    use proptest::prelude::*;
    const ROWS: [(&str, &str); 9] = [
        ("GRANT SELECT, INSERT ON `d`.* TO `x`@`%`", GRANT_OPTION),
        ("GRANT INSERT, DROP ON `d`.* TO `x`@`%`", ""),
        ("GRANT ALL PRIVILEGES ON `e`.* TO `x`@`%`", GRANT_OPTION),
        ("GRANT SELECT ON `e`.* TO `x`@`%`", ""),
        ("GRANT SELECT (`a`), UPDATE (`a`, `b`) ON `d`.`t` TO `x`@`%`", GRANT_OPTION),
        ("GRANT EXECUTE ON PROCEDURE `d`.`p` TO `x`@`%`", ""),
        ("GRANT BACKUP_ADMIN ON *.* TO `x`@`%`", GRANT_OPTION),
        ("GRANT `r`@`%` TO `x`@`%`", ADMIN_OPTION),
        ("REVOKE SELECT ON `mysql`.* FROM `x`@`%`", ""),
    ];
    let chosen = any::<[Option<bool>; ROWS.len()]>();
    chosen.prop_map(|chosen| {
        let rows = chosen.iter().zip(ROWS).filter_map(|(chosen, (row, option))| {
            chosen.map(|with| format!("{row}{}", if with { option } else { "" }))
        });
        // `ALL PRIVILEGES` includes the single privileges.
        let all = |rows: &[String]| rows.iter().any(|row| row.contains("ALL PRIVILEGES"));
        let mut rows: Vec<_> = rows.collect();
        if all(&rows) {
            rows.retain(|row| !row.starts_with("GRANT SELECT ON `e`"));
        }
        rows
    })
}

proptest::proptest! {
    /// The statements, run in order as a server does, turn the grants into the wanted ones.
    #[test]
    fn changes_lead_to_the_wanted_grants(from in some_grants(), to in some_grants()) {
        let parsed = |rows: &[String]| {
            grants(&rows.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let (mut has, wanted) = (parsed(&from), parsed(&to));
        for change in has.clone().changes_to(&wanted) {
            execute(&mut has, &change.statement("{}"));
        }
        let left: Vec<_> =
            has.changes_to(&wanted).iter().map(|change| change.statement("{}")).collect();
        proptest::prop_assert!(left.is_empty(), "{left:?}");
        has.objects.retain(|_, object| *object != Object::default());
        has.restrictions.retain(|_, privileges| !privileges.is_empty());
        proptest::prop_assert_eq!(has, wanted);
    }
}
