//! Tests of `docs/deploy.md` and `docs/configuration.md` against the templates.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rotation_tests::child_process::text;
use rotation_tests::sam::functions;
use rotation_tests::template::Template;
use rotation_tests::tool;
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/deploy.md");
const SETTINGS: &str = include_str!("../../../docs/configuration.md");
const VARIABLES: &str = include_str!("../../../deploy/terraform/variables.tf");

/// Returns the blocks of the page in a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let start = format!("```{language}\n");
    PAGE.split(&*start).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// Returns the names in backticks.
fn codes(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Returns the names in a column of a page's tables.
fn column(page: &str, number: usize) -> Vec<BTreeSet<String>> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| codes(row.split('|').nth(number).unwrap_or_default())).collect()
}

/// Returns the table of the settings of a function.
fn settings() -> &'static str {
    SETTINGS.split("\n## ").next().unwrap_or_default()
}

/// The table of settings names the parameter of each variable that the templates set.
#[test]
fn settings_table_lists_the_variables_of_the_template() -> Result<()> {
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (variables, parameters) in column(settings(), 1).into_iter().zip(column(settings(), 2)) {
        for variable in variables {
            documented.insert(variable, parameters.clone());
        }
    }
    let template = Template::read("template.yaml", &[])?;
    let mut set: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |variables: &Value| {
        for (variable, value) in variables.as_object().into_iter().flatten() {
            let parameter = value["Ref"].as_str().map(str::to_owned);
            set.entry(variable.clone()).or_default().extend(parameter);
        }
    };
    add(&template.document["Globals"]["Function"]["Environment"]["Variables"]);
    for function in functions()? {
        let properties = &template.document["Resources"][&function.id]["Properties"];
        add(&properties["Environment"]["Variables"]);
    }
    assert!(set.len() > 10, "{set:?}");
    // The table also has variables that the template does not set.
    documented.retain(|variable, parameters| set.contains_key(variable) || !parameters.is_empty());
    assert_eq!(documented, set);
    Ok(())
}

/// Each parameter of the template is in one of the two tables.
#[test]
fn pages_list_every_parameter_of_the_template() -> Result<()> {
    let (_, section) = PAGE.split_once("## Parameters\n").context("no section on parameters")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let listed: BTreeSet<_> =
        column(section, 1).into_iter().chain(column(settings(), 2)).flatten().collect();
    let template = Template::read("template.yaml", &[])?;
    let declared = template.document["Parameters"].as_object().context("no parameters")?;
    let missing: Vec<_> = declared.keys().filter(|name| !listed.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let unknown: Vec<_> = listed.iter().filter(|name| !declared.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    Ok(())
}

/// The resources that replace AWS's functions are valid in a template.
#[test]
fn resources_of_the_page_are_valid() -> Result<()> {
    let blocks = blocks("yaml");
    ensure!(blocks.len() == 2, "{} blocks", blocks.len());
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("template.yaml");
    let resources: String = blocks.join("\n").lines().map(|line| format!("  {line}\n")).collect();
    let template = format!(
        "AWSTemplateFormatVersion: \"2010-09-09\"
Transform: AWS::Serverless-2016-10-31
Parameters:
  AppSecret: {{ Type: String }}
  Subnets: {{ Type: CommaDelimitedList }}
  SecurityGroup: {{ Type: String }}
Resources:
{resources}"
    );
    std::fs::write(&path, template)?;
    let output = Command::new(tool("cfn-lint")).arg(&path).output()?;
    assert!(output.status.success(), "{}", text(&output));
    Ok(())
}

#[test]
fn example_of_the_page_has_only_variables_of_the_module() -> Result<()> {
    let block = blocks("hcl").into_iter().next().context("no example")?;
    let names: Vec<_> = block
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_once('=').map(|(name, _)| name.trim()))
        .filter(|name| *name != "source")
        .collect();
    ensure!(names.len() == 4, "{names:?}");
    for name in names {
        assert!(VARIABLES.contains(&format!("variable \"{name}\" {{")), "{name}");
    }
    Ok(())
}
