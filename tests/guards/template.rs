//! `template.yaml` and `infra/*.yaml` say what the code says.

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
    for entry in fs::read_dir(tests::root().join("functions")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let block = resource(&template, &name);
        assert!(block.contains("AWS::Serverless::Function"), "{name}");
        assert!(block.contains(&format!("target/lambda/{name}/")), "{name} has another CodeUri");
    }
    let functions = template.matches("AWS::Serverless::Function").count();
    assert_eq!(functions, fs::read_dir(tests::root().join("functions")).unwrap().count());
}

#[test]
fn nobody_may_update_or_delete_in_the_ledger_and_no_action_is_a_wildcard() {
    let template = read("template.yaml");
    for name in ["metering", "biller", "projector", "health"] {
        let block = resource(&template, name);
        for statement in block.split("Effect: Allow").skip(1) {
            // Actions come first, then the one resource.
            let end = statement.find("Resource:").unwrap_or_else(|| panic!("{name}: a statement without a resource"));
            let resource = statement[end..].lines().next().unwrap_or_default();
            let actions = &statement[..end];
            assert!(!actions.contains('*') && !resource.contains('*'), "{name}: {resource}");
            if resource.contains("Ledger") {
                for action in ["UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQL"] {
                    assert!(!actions.contains(action), "{name} may {action} in the ledger");
                }
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
