//! `/api/admin/settings`.

use super::{ADMIN, Desk, code, wrong};
use serde_json::{Value, json};
use tests::{Answer, CENT, registered};

const SWITCH: &str = "server_hourly_billing_enabled";
const HOURS: &str = "server_hours_per_month";
const CRON: &str = "server_hourly_billing_cron_schedule";

async fn set(desk: &Desk, key: &str, value: Value) -> Answer {
    desk.put(&format!("settings/{key}"), json!({ "value": value })).await
}

async fn shown(desk: &Desk, key: &str) -> Value {
    let answer = desk.get("settings").await;
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    answer.json["data"].as_array().unwrap().iter().find(|row| row["key"] == key).unwrap().clone()
}

#[tokio::test]
async fn all_are_listed_with_their_defaults() {
    let desk = Desk::new().await;
    let answer = desk.get("settings").await;
    let rows = answer.json["data"].as_array().unwrap().iter();
    let told: Vec<Value> = rows.map(|row| json!([row["key"], row["value"], row["default"], row["since"]])).collect();
    // The tests' system has its switch on.
    assert_eq!(
        told,
        [
            json!([SWITCH, true, false, "2026-11-10T00:00:00Z"]),
            json!([HOURS, 730, 730, null]),
            json!([CRON, "0 * * * *", "0 * * * *", null])
        ]
    );
    assert_eq!(shown(&desk, SWITCH).await["updated_by"], json!(null));
}

#[tokio::test]
async fn the_switch_holds_from_the_next_full_hour_and_is_billed_so() {
    let desk = Desk::new().await;
    desk.app.tell(&[registered("srv-1", "usr_1", desk.app.at(1))]).await;
    desk.app.hours(1).await;
    desk.app.pass_secs(600);
    let answer = set(&desk, SWITCH, json!(false)).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    let row = &answer.json;
    assert_eq!(
        (&row["value"], &row["in_force"], &row["since"]),
        (&json!(false), &json!(true), &json!("2026-11-10T02:00:00Z"))
    );
    assert_eq!((&row["updated_by"], &row["updated_at"]), (&json!(ADMIN), &json!("2026-11-10T01:10:05Z")));
    desk.app.hours(3).await;
    // The hour that had begun is billed, those after it are not, and the run happens all the same.
    assert_eq!(desk.app.balance("usr_1").await, -2 * CENT);
    assert_eq!(desk.app.system.store.run_last().await.unwrap().unwrap().through, desk.app.hour());
    assert_eq!(desk.get("cron/status").await.json["enabled"], json!(false));
    set(&desk, SWITCH, json!(true)).await;
    desk.app.hours(2).await;
    assert_eq!(desk.app.balance("usr_1").await, -3 * CENT);
    desk.app.verify().await;
    let records = desk.audit("setting.set").await;
    assert_eq!(records.len(), 2);
    assert_eq!(records[1].object, format!("setting/{SWITCH}"));
    assert_eq!(records[1].before, json!({ "value": true, "since": "2026-11-10T00:00:00Z" }));
    assert_eq!(records[1].after, json!({ "value": false, "since": "2026-11-10T02:00:00Z" }));
}

#[tokio::test]
async fn hours_per_month_hold_from_the_next_month() {
    let desk = Desk::new().await;
    let answer = set(&desk, HOURS, json!(672)).await;
    let row = &answer.json;
    assert_eq!(
        (&row["value"], &row["in_force"], &row["since"]),
        (&json!(672), &json!(730), &json!("2026-12-01T00:00:00Z"))
    );
    for value in [1, 8_760] {
        assert_eq!(set(&desk, HOURS, json!(value)).await.status, 200);
    }
    assert_eq!(shown(&desk, HOURS).await["value"], json!(8_760));
}

#[tokio::test]
async fn setting_what_it_is_already_writes_nothing_down() {
    let desk = Desk::new().await;
    for _ in 0..3 {
        assert_eq!(set(&desk, CRON, json!("30 * * * *")).await.status, 200);
        desk.app.pass_secs(1);
        assert_eq!(set(&desk, HOURS, json!(700)).await.status, 200);
    }
    assert_eq!(set(&desk, SWITCH, json!(true)).await.status, 200);
    let records = desk.audit("setting.set").await;
    assert_eq!(records.len(), 2);
    assert_eq!(
        (&records[1].before, &records[1].after),
        (&json!({ "value": "0 * * * *" }), &json!({ "value": "30 * * * *" }))
    );
}

#[tokio::test]
async fn what_a_setting_cannot_be_is_refused_and_nothing_changes() {
    let desk = Desk::new().await;
    for (key, value) in [
        (SWITCH, json!("true")),
        (SWITCH, json!(1)),
        (SWITCH, json!(null)),
        (HOURS, json!(0)),
        (HOURS, json!(8_761)),
        (HOURS, json!(-1)),
        (HOURS, json!(730.5)),
        (HOURS, json!("730")),
        (HOURS, json!(u64::MAX)),
        (CRON, json!("")),
        (CRON, json!(60)),
        (CRON, json!("0 * * *")),
        (CRON, json!("0 * * * * *")),
        (CRON, json!("61 * * * *")),
        (CRON, json!("@hourly")),
        (CRON, json!("0 0 1 * 1")),
        (CRON, json!("0 0 L * *")),
        (CRON, json!("0 0 * * 1#2")),
        (CRON, json!("0 0 30 2 *")),
        (CRON, json!("0 , * * *")),
        (CRON, json!("x".repeat(10_000))),
    ] {
        let answer = set(&desk, key, value.clone()).await;
        assert_eq!((answer.status, wrong(&answer)), (422, vec!["/value".to_owned()]), "{key} {value}");
    }
    let both = set(&desk, CRON, json!("0 0 1 * 1")).await;
    assert!(both.json["errors"][0]["detail"].as_str().unwrap().contains("cannot both be given"), "{:?}", both.json);
    for key in ["nothing", "SERVER_HOURS_PER_MONTH", "server_hours_per_month%20"] {
        assert_eq!(code(&set(&desk, key, json!(1)).await), (404, "not_found"), "{key}");
    }
    let answer = desk.put(&format!("settings/{HOURS}"), json!({ "value": 700, "from": "2026-12" })).await;
    assert_eq!((answer.status, wrong(&answer)), (422, vec!["/from".to_owned()]));
    assert!(desk.audit("setting.set").await.is_empty());
    assert_eq!(shown(&desk, CRON).await["value"], json!("0 * * * *"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_settings_at_the_same_time_each_is_made_and_written_down_or_a_conflict() {
    let desk = Desk::new().await;
    let sets = (0..16).map(|n| set(&desk, HOURS, json!(700 + n)));
    let answers = futures::future::join_all(sets).await;
    let made = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(answers.iter().all(|answer| [(200, ""), (409, "conflict")].contains(&code(answer))));
    let records = desk.audit("setting.set").await;
    assert!(made > 0 && records.len() == made, "{made} {}", records.len());
    // They tell one story, from the first value to the last.
    let mut values: Vec<Value> = records.iter().map(|record| record.after["value"].clone()).collect();
    assert!(values.contains(&shown(&desk, HOURS).await["value"]));
    values.push(json!(730));
    assert!(records.iter().all(|record| values.contains(&record.before["value"])));
}
