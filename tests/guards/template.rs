//! `template.yaml` and `infra/*.yaml` say what the code says.

use serde_yaml_ng::Value;
use std::fs;

fn read(path: &str) -> String {
    fs::read_to_string(tests::root().join(path)).unwrap()
}

/// The block of a top-level resource: from its name to the next line that is indented as little.
fn resource(text: &str, name: &str) -> String {
    let head = format!("  {name}:");
    let mut lines = text.lines().skip_while(|line| *line != head);
    let first = lines.next().unwrap_or_else(|| panic!("there is no resource '{name}'"));
    let rest = lines
        .take_while(|line| line.starts_with("   ") || line.trim().is_empty() || line.trim_start().starts_with('#'));
    std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_function_is_a_crate_and_every_crate_a_function() {
    let template = read("template.yaml");
    for name in functions() {
        let block = resource(&template, &name);
        assert!(block.contains("AWS::Serverless::Function"), "{name}");
        assert!(block.contains(&format!("target/lambda/{name}/")), "{name} has another CodeUri");
    }
    let count = template.matches("AWS::Serverless::Function").count();
    assert_eq!(count, functions().len());
}

/// One statement of a role's policy.
pub struct Statement {
    sid: String,
    /// What may be done.
    pub actions: Vec<String>,
    /// To what: the text inside `!Ref`, `!GetAtt` or `!Sub`.
    pub resource: String,
}

impl Statement {
    /// Not what Lambda itself needs for logs and event sources.
    pub fn is_the_codes_own(&self) -> bool {
        self.sid != "Logs" && !self.sid.starts_with("EventSource")
    }
}

fn functions() -> Vec<String> {
    let folder = fs::read_dir(tests::root().join("functions")).unwrap();
    folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn untagged(value: &Value) -> &Value {
    if let Value::Tagged(tagged) = value { untagged(&tagged.value) } else { value }
}

fn scalar(value: &Value) -> String {
    untagged(value).as_str().unwrap_or_else(|| panic!("not one text: {value:?}")).to_owned()
}

/// All statements of a function's role.
pub fn statements(function: &str) -> Vec<Statement> {
    let template: Value = serde_yaml_ng::from_str(&read("template.yaml")).unwrap();
    let resources = &template["Resources"];
    let role = scalar(&resources[function]["Properties"]["Role"]);
    let role = role.strip_suffix(".Arn").unwrap_or_else(|| panic!("{function}: its role is none of the template's"));
    let properties = &resources[role]["Properties"];
    assert!(properties["ManagedPolicyArns"].is_null(), "{function}: managed policies grant more than is used");
    assert!(resources[function]["Properties"]["Policies"].is_null(), "{function}: policies beside its role's");
    let policies = properties["Policies"].as_sequence().unwrap_or_else(|| panic!("{role} has no policies"));
    let all = policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_sequence().unwrap());
    all.map(|statement| {
        assert_eq!(statement["Effect"].as_str(), Some("Allow"), "{role}");
        let actions = statement["Action"].as_sequence().unwrap_or_else(|| panic!("{role}: its actions are no list"));
        Statement {
            sid: statement["Sid"].as_str().unwrap_or_default().to_owned(),
            actions: actions.iter().map(scalar).collect(),
            resource: scalar(&statement["Resource"]),
        }
    })
    .collect()
}

#[test]
fn nobody_may_update_or_delete_in_the_ledger_and_nothing_is_granted_by_a_wildcard() {
    let may_in_ledger = ["dynamodb:Query", "dynamodb:PutItem", "dynamodb:GetItem"];
    for name in functions() {
        let statements = statements(&name);
        assert!(!statements.is_empty(), "{name}");
        for Statement { actions, resource, .. } in statements {
            assert!(!resource.contains('*') && actions.iter().all(|a| !a.contains('*')), "{name}: {resource}");
            if resource.contains("LedgerArn") {
                let beyond: Vec<_> = actions.iter().filter(|a| !may_in_ledger.contains(&a.as_str())).collect();
                assert!(beyond.is_empty(), "{name} may {beyond:?} in the ledger");
            }
        }
    }
}

#[test]
fn the_tables_are_those_of_the_store() {
    let tables = read("infra/tables.yaml");
    for table in &store::TABLES {
        let start = tables.find(&format!("-{}", table.name)).unwrap_or_else(|| panic!("no table {}", table.name));
        let block: String = tables[..start].rsplit("AWS::DynamoDB::Table").next().unwrap_or_default().to_owned()
            + tables[start..].split("AWS::DynamoDB::Table").next().unwrap_or_default();
        let sort = if table.numeric_sort_key { "N" } else { "S" };
        assert!(block.contains("PointInTimeRecoveryEnabled: true"), "{}: no point-in-time recovery", table.name);
        assert_eq!(block.contains("NEW_IMAGE"), table.stream, "{}: stream", table.name);
        assert_eq!(block.contains("TimeToLiveSpecification"), table.ttl, "{}: ttl", table.name);
        let flat: String = block.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&format!("AttributeName: sk AttributeType: {sort}")), "{}: sort key", table.name);
    }
}

#[test]
fn the_queues_bounds_are_those_of_the_code() {
    let queues = read("infra/queues.yaml");
    assert!(queues.contains(&format!("maxReceiveCount: {}", skymeter::queue::MAX_RECEIVES)));
    assert!(queues.contains(&format!("VisibilityTimeout: {}", skymeter::queue::VISIBILITY_SECS)));
    assert!(queues.contains(&format!("MessageRetentionPeriod: {}", domain::job::JOB_VALID_SECS)));
    let template = read("template.yaml");
    assert!(template.contains(&format!("BatchSize: {}", skymeter::feed::BATCH_RECORDS)));
    assert!(resource(&template, "biller").contains("ReportBatchItemFailures"));
}
