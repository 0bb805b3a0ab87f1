//! The schedule's setting, and EventBridge Scheduler as it follows: a stand-in that keeps one schedule and answers as AWS does.

use super::{Desk, code};
use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use domain::settings::{Schedule, Times};
use proptest::prelude::*;
use providers::{Deployed, EventBridgeScheduler, Scheduler, SchedulerError, schedule_expression};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tests::{TestApp, time};

const CRON: &str = "settings/server_hourly_billing_cron_schedule";

/// One schedule, and whether anybody answers for it.
#[derive(Clone, Debug)]
struct EventBridge(Arc<Mutex<(Value, bool)>>);

impl EventBridge {
    fn new() -> Self {
        let schedule = json!({
            "Name": "skymeter-dev-metering", "GroupName": "default", "Description": "Starts the hourly metering run.",
            "ScheduleExpression": "cron(0 * * * ? *)", "ScheduleExpressionTimezone": "UTC", "State": "DISABLED",
            "FlexibleTimeWindow": { "Mode": "OFF" },
            "Target": {
                "Arn": "arn:aws:lambda:eu-west-1:1:function:metering", "RoleArn": "arn:aws:iam::1:role/schedule",
                "RetryPolicy": { "MaximumEventAgeInSeconds": 3000, "MaximumRetryAttempts": 5 },
            },
        });
        Self(Arc::new(Mutex::new((schedule, true))))
    }

    fn scheduler(&self, sdk: &SdkConfig) -> Arc<dyn Scheduler> {
        let sdk = sdk.clone().into_builder().http_client(self.clone()).endpoint_url("http://scheduler").build();
        Arc::new(EventBridgeScheduler::new(&sdk, "skymeter-dev-metering"))
    }

    fn answers(&self, answers: bool) {
        self.0.lock().unwrap().1 = answers;
    }

    fn schedule(&self) -> Value {
        self.0.lock().unwrap().0.clone()
    }

    fn deploy(&self, expression: &str) {
        self.0.lock().unwrap().0["ScheduleExpression"] = json!(expression);
    }

    fn respond(&self, request: &HttpRequest) -> (u16, String) {
        let mut held = self.0.lock().unwrap();
        assert!(request.uri().ends_with("/schedules/skymeter-dev-metering"), "{}", request.uri());
        if !held.1 {
            return (400, json!({ "__type": "ValidationException", "Message": "not now" }).to_string());
        }
        match request.method() {
            "GET" => (200, held.0.to_string()),
            "PUT" => {
                let mut new: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
                new.as_object_mut().unwrap().remove("ClientToken");
                new["Name"] = held.0["Name"].clone();
                held.0 = new;
                (200, json!({ "ScheduleArn": "arn:aws:scheduler:::schedule" }).to_string())
            }
            other => panic!("{other}"),
        }
    }
}

impl HttpConnector for EventBridge {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (status, body) = self.respond(&request);
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))))
    }
}

impl HttpClient for EventBridge {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

async fn desk() -> (Desk, EventBridge) {
    let (app, eventbridge) = (TestApp::new().await, EventBridge::new());
    let scheduler = eventbridge.scheduler(&app.system.sdk);
    (Desk::with(app, scheduler).await, eventbridge)
}

#[tokio::test]
async fn the_schedule_follows_its_setting_and_keeps_everything_else() {
    let (desk, eventbridge) = desk().await;
    let before = eventbridge.schedule();
    let status = desk.get("cron/status").await.json;
    assert_eq!((&status["in_sync"], &status["deployed_enabled"]), (&json!(true), &json!(false)));
    let answer = desk.put(CRON, json!({ "value": "*/30 6-8 * * sun,1" })).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    let mut expected = before;
    expected["ScheduleExpression"] = json!("cron(0,30 6-8 ? * 1,2 *)");
    assert_eq!(eventbridge.schedule(), expected);
    let status = desk.get("cron/status").await.json;
    assert_eq!((&status["schedule"], &status["in_sync"]), (&json!("*/30 6-8 * * sun,1"), &json!(true)));
    assert_eq!(status["deployed_schedule"], json!("cron(0,30 6-8 ? * 1,2 *)"));
    assert_eq!(status["next_run"], json!("2026-11-15T06:00:00Z"));
    // Other settings leave it alone.
    eventbridge.deploy("rate(5 minutes)");
    desk.put("settings/server_hourly_billing_enabled", json!({ "value": false })).await;
    assert_eq!(eventbridge.schedule()["ScheduleExpression"], json!("rate(5 minutes)"));
}

#[tokio::test]
async fn a_schedule_that_did_not_follow_is_seen_and_mended_by_setting_it_again() {
    let (desk, eventbridge) = desk().await;
    eventbridge.answers(false);
    let answer = desk.put(CRON, json!({ "value": "15 * * * *" })).await;
    assert_eq!(code(&answer), (503, "schedule_not_set"));
    assert!(!answer.json.to_string().contains("not now"), "{:?}", answer.json);
    // The setting is the truth, and stands.
    let status = desk.get("cron/status").await;
    assert_eq!(
        (status.status, &status.json["schedule"], &status.json["in_sync"]),
        (200, &json!("15 * * * *"), &json!(null))
    );
    eventbridge.answers(true);
    let status = desk.get("cron/status").await.json;
    assert_eq!((&status["deployed_schedule"], &status["in_sync"]), (&json!("cron(0 * * * ? *)"), &json!(false)));
    assert_eq!(desk.put(CRON, json!({ "value": "15 * * * *" })).await.status, 200);
    assert_eq!(desk.get("cron/status").await.json["in_sync"], json!(true));
    assert_eq!(desk.audit("setting.set").await.len(), 1);
    // A deploy that sets another one is seen, too.
    eventbridge.deploy("cron(0 * * * ? *)");
    assert_eq!(desk.get("cron/status").await.json["in_sync"], json!(false));
}

#[tokio::test]
async fn what_is_refused_does_not_reach_the_schedule() {
    let (desk, eventbridge) = desk().await;
    for cron in ["0 0 1 * 1", "0 0 30 2 *", "0 0 * * 1#2", "nonsense"] {
        assert_eq!(desk.put(CRON, json!({ "value": cron })).await.status, 422, "{cron}");
    }
    assert_eq!(eventbridge.schedule()["ScheduleExpression"], json!("cron(0 * * * ? *)"));
}

/// A field of a cron expression, from `min` to `max`.
fn field(min: u16, max: u16) -> impl Strategy<Value = String> {
    let range = (min..=max, min..=max).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let item = prop_oneof![
        (min..=max).prop_map(|n| n.to_string()),
        range.clone().prop_map(|(a, b)| format!("{a}-{b}")),
        (range, 1_u16..9).prop_map(|((a, b), step)| format!("{a}-{b}/{step}")),
        (1_u16..20).prop_map(|step| format!("*/{step}")),
    ];
    prop_oneof![Just("*".to_owned()), proptest::collection::vec(item, 1..4).prop_map(|items| items.join(","))]
}

/// EventBridge's expression read back as cron's: `?` is any, and the week begins at 0.
fn back(expression: &str) -> String {
    let inner = expression.strip_prefix("cron(").unwrap().strip_suffix(')').unwrap();
    let fields: Vec<&str> = inner.split(' ').collect();
    assert_eq!((fields.len(), fields[5]), (6, "*"), "{expression}");
    assert_eq!([fields[2], fields[4]].iter().filter(|days| **days == "?").count(), 1, "{expression}");
    let earlier = |day: &str| (day.parse::<u16>().unwrap() - 1).to_string();
    let week = fields[4].replace('?', "*");
    let days = week.split(',').map(|part| part.split('-').map(earlier).collect::<Vec<_>>().join("-"));
    let week = if week == "*" { week.clone() } else { days.collect::<Vec<_>>().join(",") };
    format!("{} {} {} {} {week}", fields[0], fields[1], fields[2].replace('?', "*"), fields[3])
}

proptest! {
    #[test]
    fn whatever_eventbridge_is_told_fires_at_the_settings_times(
        minutes in field(0, 59), hours in field(0, 23), of_month in field(1, 31), months in field(1, 12), of_week in field(0, 7),
    ) {
        let schedule = Schedule::parse(&format!("{minutes} {hours} {of_month} {months} {of_week}")).unwrap();
        if let Ok(times) = schedule.times() {
            let expression = schedule_expression(&times);
            prop_assert!(expression.len() <= 256, "{}", expression);
            let told = Schedule::parse(&back(&expression)).unwrap();
            let mut at = time("2026-11-10T00:00:00Z");
            for _ in 0..20 {
                let next = schedule.next_after(at);
                prop_assert_eq!(next, told.next_after(at), "{}", expression);
                let Some(next) = next else { break };
                at = next;
            }
        }
    }
}

/// Somebody else sets the schedule while the first one is still at it.
#[derive(Debug)]
struct Overtaken(store::Store, Arc<dyn Scheduler>, AtomicBool);

#[async_trait::async_trait]
impl Scheduler for Overtaken {
    async fn set(&self, times: &Times) -> Result<(), SchedulerError> {
        if !self.2.swap(true, Ordering::Relaxed) {
            self.0.schedule_set("45 * * * *").await.unwrap();
        }
        self.1.set(times).await
    }

    async fn get(&self) -> Result<Option<Deployed>, SchedulerError> {
        self.1.get().await
    }
}

#[tokio::test]
async fn of_two_who_set_it_at_the_same_time_the_schedule_follows_the_one_that_holds() {
    let (app, eventbridge) = (TestApp::new().await, EventBridge::new());
    let inner = eventbridge.scheduler(&app.system.sdk);
    let overtaken = Overtaken(app.system.store.clone(), inner, AtomicBool::new(false));
    let desk = Desk::with(app, Arc::new(overtaken)).await;
    let answer = desk.put(CRON, json!({ "value": "15 * * * *" })).await;
    assert_eq!((answer.status, &answer.json["value"]), (200, &json!("45 * * * *")));
    assert_eq!(eventbridge.schedule()["ScheduleExpression"], json!("cron(45 * * * ? *)"));
}
