//! `template.yaml` and `infra/*.yaml` say what the code says.

use serde_yaml_ng::Value;
use std::collections::{BTreeMap, BTreeSet};
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

pub fn functions() -> Vec<String> {
    let folder = fs::read_dir(tests::root().join("functions")).unwrap();
    folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Functions whose role an `AWS::IAM::Policy` of the template is attached to, and its statements.
pub fn shared_policies() -> Vec<(Vec<String>, Vec<Value>)> {
    let template = parsed("template.yaml");
    let resources = template["Resources"].as_mapping().unwrap().values();
    let policies = resources.filter(|resource| resource["Type"].as_str() == Some("AWS::IAM::Policy"));
    let role = |function: &String| scalar(&template["Resources"][function]["Properties"]["Role"]);
    policies
        .map(|policy| {
            let roles = texts(&policy["Properties"]["Roles"]);
            let has_it = |function: &String| roles.iter().any(|name| role(function) == format!("{name}.Arn"));
            let held_by: Vec<String> = functions().into_iter().filter(has_it).collect();
            assert_eq!(held_by.len(), roles.len(), "a role that is no function's: {roles:?}");
            (held_by, policy["Properties"]["PolicyDocument"]["Statement"].as_sequence().unwrap().clone())
        })
        .collect()
}

fn untagged(value: &Value) -> &Value {
    if let Value::Tagged(tagged) = value { untagged(&tagged.value) } else { value }
}

pub fn scalar(value: &Value) -> String {
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

pub fn parsed(path: &str) -> Value {
    serde_yaml_ng::from_str(&read(path)).unwrap()
}

pub fn texts(value: &Value) -> Vec<String> {
    untagged(value).as_sequence().map_or_else(Vec::new, |all| all.iter().map(scalar).collect())
}

#[test]
fn metering_runs_every_hour_on_the_hour_in_utc() {
    let template = parsed("template.yaml");
    let schedule = &template["Resources"]["metering"]["Properties"]["Events"]["Hourly"];
    assert_eq!(schedule["Type"].as_str(), Some("ScheduleV2"));
    let properties = &schedule["Properties"];
    assert_eq!(scalar(&properties["ScheduleExpression"]), "ScheduleExpression");
    assert_eq!(scalar(&properties["State"]), "ScheduleState");
    assert_eq!(properties["ScheduleExpressionTimezone"].as_str(), Some("UTC"));
    assert_eq!(properties["FlexibleTimeWindow"]["Mode"].as_str(), Some("OFF"));
    // The fields of the setting's default, the day of the week left open because that of the month is not, and the year.
    let default = |name: &str| template["Parameters"][name]["Default"].as_str().map(str::to_owned);
    let fields = domain::settings::DEFAULT_CRON.strip_suffix('*').unwrap();
    assert_eq!(default("ScheduleExpression"), Some(format!("cron({fields}? *)")));
    assert_eq!(default("ScheduleState").as_deref(), Some("ENABLED"));
}

#[test]
fn the_queues_hand_over_what_the_functions_expect() {
    let template = parsed("template.yaml");
    let source = |function: &str, event: &str| {
        let event = &template["Resources"][function]["Properties"]["Events"][event];
        assert_eq!(event["Type"].as_str(), Some("SQS"), "{function}");
        event["Properties"].clone()
    };
    let (jobs, shards, mails) = (source("biller", "Jobs"), source("metering", "Shard"), source("mailer", "Mails"));
    assert_eq!((scalar(&jobs["Queue"]), jobs["BatchSize"].as_u64()), ("Queues.Outputs.JobsArn".to_owned(), Some(100)));
    assert_eq!(scalar(&shards["Queue"]), "Queues.Outputs.MeteringArn");
    assert_eq!(scalar(&mails["Queue"]), "Queues.Outputs.MailsArn");
    for source in [&jobs, &shards, &mails] {
        assert_eq!(texts(&source["FunctionResponseTypes"]), ["ReportBatchItemFailures"]);
    }
    // On the event source, so that messages wait instead of failing; whatever the condition, there is a limit.
    let limit = format!("{:?}", jobs["ScalingConfig"]["MaximumConcurrency"]);
    let default = &template["Parameters"]["BillerMaxConcurrency"]["Default"];
    assert!(limit.contains("BillerMaxConcurrency"), "{limit}");
    assert!(default.as_u64().is_some_and(|billers| (2..=1_000).contains(&billers)), "{default:?}");
}

#[test]
fn a_stream_batch_comes_back_as_it_was_until_it_is_done() {
    let template = parsed("template.yaml");
    let source = &template["Resources"]["projector"]["Properties"]["Events"]["Ledger"];
    assert_eq!(source["Type"].as_str(), Some("DynamoDB"));
    let properties = &source["Properties"];
    assert_eq!(scalar(&properties["Stream"]), "Tables.Outputs.LedgerStreamArn");
    assert_eq!(properties["StartingPosition"].as_str(), Some("TRIM_HORIZON"));
    assert_eq!(properties["BatchSize"].as_u64(), u64::try_from(skymeter::feed::BATCH_RECORDS).ok());
    assert_eq!(properties["ParallelizationFactor"].as_u64(), Some(1));
    assert_eq!(properties["BisectBatchOnFunctionError"].as_bool(), Some(false));
    assert_eq!(properties["MaximumRetryAttempts"].as_i64(), Some(-1));
    for skips in ["FunctionResponseTypes", "MaximumRecordAgeInSeconds", "TumblingWindowInSeconds", "FilterCriteria"] {
        assert!(properties[skips].is_null(), "{skips}");
    }
}

#[test]
fn every_queue_is_a_standard_one_and_what_fails_five_times_raises_an_alarm() {
    let (template, queues, alarms) =
        (parsed("template.yaml"), parsed("infra/queues.yaml"), parsed("infra/alarms.yaml"));
    for (name, queue) in queues["Resources"].as_mapping().unwrap() {
        assert_eq!(queue["Type"].as_str(), Some("AWS::SQS::Queue"), "{name:?}");
        assert!(queue["Properties"]["FifoQueue"].is_null(), "{name:?}");
    }
    let handed = &template["Resources"]["Alarms"]["Properties"]["Parameters"];
    for (queue, function) in [("Jobs", "biller"), ("Metering", "metering"), ("Mails", "mailer")] {
        let properties = &queues["Resources"][queue]["Properties"];
        let timeout = template["Resources"][function]["Properties"]["Timeout"].as_i64().unwrap();
        let visible_after = properties["VisibilityTimeout"].as_i64().unwrap();
        assert!(visible_after >= 6 * timeout, "{queue}");
        // What bills must not come again sooner than it is tried with.
        assert!(queue == "Mails" || visible_after >= skymeter::queue::VISIBILITY_SECS, "{queue}");
        let redrive = &properties["RedrivePolicy"];
        assert_eq!(redrive["maxReceiveCount"].as_u64(), Some(skymeter::queue::MAX_RECEIVES.into()), "{queue}");
        assert_eq!(skymeter::queue::MAX_RECEIVES, 5);
        // From the dead letters' queue to its name's output, to the alarms' parameter, to the alarm.
        let dead = scalar(&redrive["deadLetterTargetArn"]);
        assert_eq!(dead, format!("{queue}Dead.Arn"));
        let name = format!("{queue}Dead.QueueName");
        let outputs = queues["Outputs"].as_mapping().unwrap();
        let output = outputs.iter().find(|(_, output)| scalar(&output["Value"]) == name).unwrap().0;
        let given = format!("Queues.Outputs.{}", output.as_str().unwrap());
        let parameter = handed.as_mapping().unwrap().iter().find(|(_, value)| scalar(value) == given).unwrap().0;
        let watches = |alarm: &&Value| {
            let dimension = &alarm["Properties"]["Dimensions"][0];
            dimension["Name"].as_str() == Some("QueueName")
                && scalar(&dimension["Value"]) == parameter.as_str().unwrap()
        };
        let queue_alarms = alarms["Resources"].as_mapping().unwrap().values();
        let mut queue_alarms =
            queue_alarms.filter(|alarm| alarm["Properties"]["Namespace"].as_str() == Some("AWS/SQS"));
        let alarm = &queue_alarms.find(watches).unwrap_or_else(|| panic!("{queue}: no alarm"))["Properties"];
        assert_eq!(alarm["MetricName"].as_str(), Some("ApproximateNumberOfMessagesVisible"), "{queue}");
        assert_eq!(alarm["ComparisonOperator"].as_str(), Some("GreaterThanThreshold"), "{queue}");
        assert_eq!(alarm["Threshold"].as_u64(), Some(0), "{queue}");
        assert_eq!(texts(&alarm["AlarmActions"]), ["Topic"], "{queue}");
    }
    // Six hours: a job that is older would be dropped by the biller.
    let kept = queues["Resources"]["Jobs"]["Properties"]["MessageRetentionPeriod"].as_i64();
    assert_eq!(kept, Some(domain::job::JOB_VALID_SECS));
}

/// What Lambda itself needs: to take from the trigger the function has, and to write to its own log.
#[test]
fn lambda_may_take_from_each_functions_trigger_and_write_its_log_and_no_other() {
    let template: Value = serde_yaml_ng::from_str(&read("template.yaml")).unwrap();
    for name in functions() {
        let properties = &template["Resources"][&name]["Properties"];
        let mut wanted = vec![(
            format!("{}.Arn", scalar(&properties["LoggingConfig"]["LogGroup"])),
            vec!["logs:CreateLogStream", "logs:PutLogEvents"],
        )];
        for event in properties["Events"].as_mapping().into_iter().flat_map(|events| events.values()) {
            let source = &event["Properties"];
            match event["Type"].as_str() {
                Some("SQS") => {
                    let actions = vec!["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"];
                    wanted.push((scalar(&source["Queue"]), actions));
                }
                Some("DynamoDB") => wanted.push((
                    scalar(&source["Stream"]),
                    vec![
                        "dynamodb:DescribeStream",
                        "dynamodb:GetRecords",
                        "dynamodb:GetShardIterator",
                        "dynamodb:ListStreams",
                    ],
                )),
                // The schedule has a role of its own, made by SAM for this one function; SNS, as a function URL, comes by the
                // function's own policy, which SAM writes, too.
                other => assert!(matches!(other, Some("ScheduleV2" | "SNS")), "{name}: {other:?}"),
            }
        }
        let all = statements(&name);
        let mut granted: Vec<(String, Vec<&str>)> = all
            .iter()
            .filter(|statement| !statement.is_the_codes_own())
            .map(|Statement { resource, actions, .. }| (resource.clone(), actions.iter().map(String::as_str).collect()))
            .collect();
        granted.iter_mut().for_each(|(_, actions)| actions.sort_unstable());
        granted.sort();
        wanted.sort();
        assert_eq!(granted, wanted, "{name}");
    }
}

/// `cargo lambda` chooses abort where the manifest says nothing.
#[test]
fn a_panic_is_one_failed_invocation() {
    assert!(read("Cargo.toml").contains("\npanic = \"unwind\"\n"));
}

/// What is read only where it is set: there is a default, or nothing follows from it.
const OPTIONAL: [&str; 1] = ["MAIL_CONFIGURATION_SET"];

/// Names of environment variables in a source file: texts of capitals with an underline.
fn settings_in(path: &str) -> BTreeSet<String> {
    let text = read(path);
    let texts = text.split('"').skip(1).step_by(2);
    let is_name = |text: &&str| {
        text.contains('_') && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    texts.filter(is_name).filter(|name| !OPTIONAL.contains(name)).map(str::to_owned).collect()
}

/// A function's own environment in the template: names, and what they refer to.
fn environment(template: &Value, function: &str) -> BTreeMap<String, String> {
    let variables = &template["Resources"][function]["Properties"]["Environment"]["Variables"];
    let variables = variables.as_mapping().into_iter().flatten();
    variables.map(|(name, value)| (scalar(name), scalar(value))).collect()
}

#[test]
fn each_function_is_given_the_settings_it_reads_and_no_other() {
    let template = parsed("template.yaml");
    for function in functions() {
        let main = format!("functions/{function}/src/main.rs");
        let mut read_by_code = settings_in(&main);
        if tests::root().join(format!("functions/{function}/src/config.rs")).exists() {
            read_by_code.extend(settings_in(&format!("functions/{function}/src/config.rs")));
        }
        if read(&main).contains("Cashier::from_env") {
            read_by_code.extend(settings_in("shared/cashier/src/config.rs"));
        }
        // Read by `start::store` where it is there; who may touch the table is told its name.
        read_by_code.remove("IDENTITY_TABLE");
        if statements(&function).iter().any(|statement| statement.resource == "Tables.Outputs.IdentityArn") {
            read_by_code.insert("IDENTITY_TABLE".to_owned());
        }
        let given: BTreeSet<String> = environment(&template, &function).into_keys().collect();
        assert_eq!(given, read_by_code, "{function}");
    }
}

#[test]
fn a_secret_is_named_to_who_may_read_it_and_read_by_nobody_else() {
    let template = parsed("template.yaml");
    for function in functions() {
        let secrets = environment(&template, &function).into_iter().filter(|(name, _)| name.ends_with("_SECRET_ARN"));
        let named: BTreeSet<String> = secrets.map(|(_, parameter)| parameter).collect();
        let may = statements(&function).into_iter().filter(|statement| statement.actions == [GET_SECRET]);
        let may: BTreeSet<String> = may.map(|statement| statement.resource).collect();
        assert_eq!(may, named, "{function}");
        // The private key of access tokens.
        assert_eq!(may.contains("AccessKeySecretArn"), function == "auth", "{function}");
    }
}

/// What reading a secret needs.
pub const GET_SECRET: &str = "secretsmanager:GetSecretValue";

#[test]
fn a_laptop_has_every_setting() {
    let template = parsed("template.yaml");
    let mut wanted: BTreeSet<String> =
        functions().iter().flat_map(|function| environment(&template, function).into_keys()).collect();
    let global = template["Globals"]["Function"]["Environment"]["Variables"].as_mapping().unwrap();
    wanted.extend(global.keys().map(scalar));
    // Empty unless a browser calls.
    wanted.remove("ALLOWED_ORIGINS");
    wanted.extend(["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(str::to_owned));
    let json: serde_json::Value = serde_json::from_str(&read("infra/local.json")).unwrap();
    let json: BTreeSet<String> = json["Parameters"].as_object().unwrap().keys().cloned().collect();
    let env = read("infra/local.env");
    let env = env.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let env: BTreeSet<String> = env.map(|(name, _)| name.to_owned()).collect();
    assert_eq!(env, wanted);
    assert_eq!(json, wanted);
}

/// An alarm that counts lines of a log counts lines the code writes.
#[test]
fn what_alarms_look_for_in_logs_is_what_functions_write() {
    let (template, alarms) = (parsed("template.yaml"), parsed("infra/alarms.yaml"));
    let handed = &template["Resources"]["Alarms"]["Properties"]["Parameters"];
    let resources = alarms["Resources"].as_mapping().unwrap().values();
    let filters: Vec<&Value> =
        resources.filter(|resource| resource["Type"].as_str() == Some("AWS::Logs::MetricFilter")).collect();
    assert!(filters.len() >= 2);
    for filter in filters {
        let properties = &filter["Properties"];
        let group = scalar(&handed[scalar(&properties["LogGroupName"]).as_str()]);
        let function = group.strip_suffix("Logs").unwrap().to_lowercase();
        assert!(functions().contains(&function), "{group}");
        let pattern = scalar(&properties["FilterPattern"]);
        let line = pattern.strip_prefix("{ $.fields.message = \"").and_then(|rest| rest.strip_suffix("\" }"));
        let line = line.unwrap_or_else(|| panic!("{pattern}"));
        let written = format!("\"{}", line.strip_suffix('*').map_or_else(|| format!("{line}\""), str::to_owned));
        let mut places = vec![format!("functions/{function}/src")];
        if read(&format!("functions/{function}/Cargo.toml")).contains("cashier.workspace") {
            places.push("shared/cashier/src".to_owned());
        }
        assert!(places.iter().any(|place| sources(place).contains(&written)), "{function} never logs {written}");
    }
}

/// All files of a folder.
fn sources(folder: &str) -> String {
    let files = fs::read_dir(tests::root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.is_file()).map(|file| fs::read_to_string(file).unwrap()).collect()
}
