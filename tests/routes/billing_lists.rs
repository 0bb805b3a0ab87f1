//! Transactions and usage records: merged over lanes, filtered, by cursor and by page number.

use super::billing::{Billing, micros, on_plan, posts};
use domain::Unit;
use domain::plan::Metering;
use domain::wallet::Kind;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::Fact;
use tests::{CENT, TestApp, ended, plan, registered};

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

fn in_tokens(fact: Fact) -> Fact {
    match fact {
        Fact::Registered { server, customer, plan, state, at, .. } => {
            Fact::Registered { server, customer, unit: Unit::Token, plan, state, at }
        }
        other => other,
    }
}

/// Both units, three lanes of USD: 1,001 servers.
async fn many_lanes(app: &TestApp) {
    let facts: Vec<Fact> = (0..1_001).map(|n| registered(&format!("srv-{n:04}"), "usr_1", app.at(1))).collect();
    app.tell(&facts).await;
    app.tell(&[in_tokens(registered("srv-token", "usr_1", app.at(1)))]).await;
    posts(app, "usr_1", Unit::Usd, Kind::Payment, 50_000_000, "pi_1").await;
    app.hours(2).await;
    posts(app, "usr_1", Unit::Token, Kind::Admin, 10_000, "tokens").await;
    app.hours(1).await;
}

#[tokio::test]
async fn lanes_and_units_are_one_list_newest_first_however_it_is_cut() {
    let app = TestApp::new().await;
    many_lanes(&app).await;
    let billing = Billing::of(&app, "usr_1").await;
    let whole = billing.get("/transactions?limit=100").await;
    let whole = whole["data"].as_array().unwrap();
    // Three hours on three lanes and the token lane, and two postings.
    assert_eq!(whole.len(), 3 * 4 + 2);
    assert!(whole.is_sorted_by(|a, b| a["created_at"].as_str() >= b["created_at"].as_str()));
    for limit in [1, 2, 5, 13, 14] {
        assert_eq!(&billing.all(&format!("/transactions?limit={limit}")).await, whole, "{limit}");
    }
    let unique: BTreeSet<&str> = ids(whole).into_iter().collect();
    assert_eq!(unique.len(), whole.len());

    let usd: i128 = whole.iter().filter(|row| row["unit"] == "usd").map(|row| micros(&row["amount"])).sum();
    let balance = billing.get("/balance").await;
    assert_eq!((micros(&balance["custom_credits"]["amount"]), usd), (50_000_000 - 3_003 * i128::from(CENT), usd));
    assert_eq!(usd, 50_000_000 - 3_003 * i128::from(CENT));
    assert_eq!(balance["virtfusion_tokens"]["amount"], "-2.00");
    assert_eq!(balance["virtfusion_credits"], json!({ "amount": "-0.02", "unit": "usd" }));

    assert_eq!(billing.all("/transactions?unit=token").await.len(), 4);
    assert_eq!(billing.all("/transactions?lane=2").await.len(), 3);
    assert_eq!(billing.all("/transactions?lane=2&unit=token&limit=2").await.len(), 0);
    let credits = billing.all("/custom-credits/transactions?limit=4").await;
    assert_eq!(credits.len(), 10);
    let statement = billing.get("/statements/2026-11").await;
    assert_eq!(statement["wallets"][0]["lanes"].as_array().unwrap().len(), 3);
    assert_eq!(micros(&statement["wallets"][0]["closing"]), usd);
    assert_eq!(
        billing.get("/statements/2026-11?lane=1&unit=usd").await["wallets"][0]["servers"].as_array().unwrap().len(),
        500
    );
    assert_eq!(billing.get("/proof").await["chains"].as_array().unwrap().len(), 4);
    // Records of pages with 500 lines, and none twice.
    let records = billing.all("/usage?limit=100&unit=usd").await;
    let unique: BTreeSet<String> =
        records.iter().map(|row| format!("{}{}", row["resource_id"], row["period_start"])).collect();
    assert_eq!((records.len(), unique.len()), (3_003, 3_003));
    assert_eq!(billing.all("/usage?server=srv-0777&limit=1").await.len(), 3);
    assert_eq!(billing.all("/usage?lane=1&limit=99").await.len(), 1_500);
    let current = billing.get("/usage/current?limit=3").await;
    assert_eq!((&current["totals"][0]["servers"], current["data"].as_array().unwrap().len()), (&json!(1_001), 3));
    assert_eq!(micros(&current["totals"][0]["cost"]), 3_003 * i128::from(CENT));
    assert_eq!(billing.all("/usage/current?limit=100").await.len(), 1_002);
    app.verify().await;
}

#[tokio::test]
async fn a_list_goes_on_where_it_was_whatever_is_posted_meanwhile() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "usr_1", app.at(1)), registered("srv-2", "usr_1", app.at(1))]).await;
    app.hours(6).await;
    for path in ["/transactions", "/usage", "/custom-credits/transactions"] {
        let billing = Billing::of(&app, "usr_1").await;
        let before = billing.all(&format!("{path}?limit=50")).await;
        let first = billing.get(&format!("{path}?limit=3")).await;
        app.hours(1).await;
        let billing = Billing::of(&app, "usr_1").await;
        let rest = billing.rest(&format!("{path}?limit=3"), first["next_cursor"].as_str().unwrap()).await;
        let joined: Vec<Value> = first["data"].as_array().unwrap().iter().cloned().chain(rest).collect();
        assert_eq!(joined, before, "{path}");
    }
}

#[tokio::test]
async fn filters_leave_out_what_they_say() {
    let app = TestApp::new().await;
    posts(&app, "usr_1", Unit::Usd, Kind::Payment, 5_000_000, "pi_Alpha").await;
    app.tell(&[registered("srv-1", "usr_1", app.at(1))]).await;
    app.hours(30).await;
    posts(&app, "usr_1", Unit::Usd, Kind::Refund, -1_000_000, "re_beta").await;
    app.tell(&[registered("srv-two", "usr_1", app.time.now())]).await;
    app.hours(30).await;
    let billing = Billing::of(&app, "usr_1").await;
    let count = async |query: &str| billing.all(&format!("/transactions?limit=7{query}")).await.len();
    assert_eq!(count("").await, 62);
    assert_eq!((count("&type=usage").await, count("&type=payment").await, count("&type=reversal").await), (60, 1, 0));
    assert_eq!(
        (count("&search=ALPHA").await, count("&search=srv-TWO").await, count("&search=tests").await),
        (1, 30, 2)
    );
    assert_eq!(count("&search=txn_usd_0_3").await, 11);
    // The tenth: the payment, and an hour that ended at each full hour from one o'clock on.
    assert_eq!((count("&to=2026-11-10").await, count("&from=2026-11-11").await), (24, 38));
    assert_eq!((count("&from=2026-11-11&to=2026-11-11").await, count("&from=2026-11-13").await), (25, 0));
    assert_eq!(count("&from=2026-11-10T05:00:05Z&to=2026-11-10T07:00:05Z&type=usage").await, 2);
    // Records are found by when something was used.
    let records = async |query: &str| billing.all(&format!("/usage?limit=7{query}")).await.len();
    assert_eq!((records("").await, records("&server=srv-two").await, records("&server=srv").await), (90, 30, 0));
    assert_eq!((records("&to=2026-11-10").await, records("&from=2026-11-11").await), (24, 66));
    assert_eq!(records("&from=2026-11-10T05:00:00Z&to=2026-11-10T07:00:00Z").await, 2);
    assert_eq!(records("&resource_type=server&status=billed").await, 90);
    for wrong in ["resource_type=domain", "status=pending", "status=BILLED"] {
        assert_eq!(billing.refused(&format!("/usage?{wrong}")).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn pages_with_numbers_are_those_of_the_cursor() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "usr_1", app.at(1))]).await;
    app.hours(23).await;
    let billing = Billing::of(&app, "usr_1").await;
    let path = "/custom-credits/transactions";
    let all = billing.all(&format!("{path}?limit=10")).await;
    for (page, rows) in [(1, 0..10), (2, 10..20), (3, 20..23), (4, 23..23)] {
        let answer = billing.get(&format!("{path}?limit=10&page={page}")).await;
        assert_eq!(answer["data"].as_array().unwrap(), &all[rows]);
        assert_eq!(answer["pagination"], json!({ "page": page, "limit": 10, "total": 23, "pages": 3 }));
        assert_eq!(answer["next_cursor"].is_null(), page >= 3);
    }
    let filtered = billing.get(&format!("{path}?type=usage&limit=20&page=2")).await;
    assert_eq!(filtered["pagination"], json!({ "page": 2, "limit": 20, "total": null, "pages": null }));
    assert_eq!(filtered["data"].as_array().unwrap(), &all[20..]);
    let cursor = billing.get(&format!("{path}?limit=10")).await["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(billing.get(&format!("{path}?cursor={cursor}")).await["pagination"], Value::Null);
    for wrong in [&format!("page=1&cursor={cursor}"), "page=0", "page=1001", "page=-1", "page=1.5"] {
        assert_eq!(billing.refused(&format!("{path}?{wrong}")).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_a_cursor_opens_nobody_elses_list() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "usr_1", app.at(1)), registered("srv-2", "usr_2", app.at(1))]).await;
    app.hours(5).await;
    let (one, two) = (Billing::of(&app, "usr_1").await, Billing::of(&app, "usr_2").await);
    let lists = ["/transactions", "/custom-credits/transactions", "/usage"];
    for list in lists {
        for wrong in [
            "limit=0",
            "limit=101",
            "limit=x",
            "limit=-1",
            "limit=1e1",
            "from=yesterday",
            "to=2026-13-01",
            "from=2026-11-11&to=2026-11-10",
            "nonsense=1",
            "cursor=x",
            "cursor=",
            "cursor=e30",
            "cursor=bnVsbA",
            "limit=5&limit=6",
        ] {
            assert_eq!(
                one.refused(&format!("{list}?{wrong}")).await,
                (400, "invalid_parameter".to_owned()),
                "{list} {wrong}"
            );
        }
        // What a cursor could say and never does.
        for forged in [
            json!({ "lanes": [] }),
            json!({ "lanes": [["usd", 0, 0, 1]] }),
            json!({ "lanes": [["usd", 0, 3, 0]] }),
            json!({ "lanes": [["usd", 0, 1, 3]] }),
            json!({ "lanes": [["usd", 0, 3, 1], ["usd", 0, 3, 1]] }),
            json!({ "lanes": [["eur", 0, 3, 1]] }),
            json!({ "lanes": [["usd", 70_000, 3, 1]] }),
            json!({ "lanes": [["usd", 0, u64::MAX, 1]] }),
            json!({ "lanes": [["usd", 0, u64::MAX - 1, 1], ["usd", 1, u64::MAX - 1, 1]] }),
            json!({ "lanes": [["usd", 0, 3, 1]], "customer": "usr_2" }),
            json!({ "lanes": (0..65).map(|n| json!(["usd", n, 3, 1])).collect::<Vec<_>>() }),
        ] {
            let cursor = api::write_cursor(&forged).unwrap();
            assert_eq!(one.refused(&format!("{list}?cursor={cursor}")).await.0, 400, "{list} {forged}");
        }
        // A cursor of somebody else is a position in one's own list.
        let theirs = two.get(&format!("{list}?limit=2")).await["next_cursor"].as_str().unwrap().to_owned();
        let own = one.get(&format!("{list}?limit=2")).await["next_cursor"].as_str().unwrap().to_owned();
        assert_eq!(one.get(&format!("{list}?cursor={theirs}")).await, one.get(&format!("{list}?cursor={own}")).await);
        // So is one that names lanes there are none of, or pages that are not yet.
        let beyond = api::write_cursor(&json!({ "lanes": [["usd", 0, 999, 1], ["token", 7, 9, 1]] })).unwrap();
        assert_eq!(one.get(&format!("{list}?cursor={beyond}")).await["data"].as_array().unwrap().len(), 5, "{list}");
    }
    for path in
        ["/transactions?type=Usage", "/transactions?type=bonus", "/transactions?unit=eur", "/transactions?lane=70000"]
    {
        assert_eq!(one.refused(path).await.0, 400, "{path}");
    }
    for month in ["2026", "2026-1", "2026-13", "2026-11-01", "0000-01", "november", "2026%2D11x"] {
        for path in [format!("/statements/{month}"), format!("/servers/srv-1/explain?month={month}")] {
            assert_eq!(one.refused(&path).await, (400, "invalid_parameter".to_owned()), "{path}");
        }
    }
    for path in ["/statements/2026-12", "/statements/2026-10", "/statements/9999-12", "/statements/1970-01"] {
        assert_eq!(one.refused(path).await.0, 404, "{path}");
    }
    assert_eq!(two.refused("/servers/srv-1/explain").await, (404, "not_found".to_owned()));
    assert_eq!(one.refused("/servers/srv-1/explain?cursor=e30").await.0, 400);
    assert_eq!(one.refused("/usage/current?cursor=e30").await.0, 400);
}

#[tokio::test]
async fn seconds_are_records_of_seconds() {
    let app = TestApp::new().await;
    app.system.store.plan_put(&plan("seconds", "2628.00", Metering::PerSecond)).await.unwrap();
    app.tell(&[on_plan(registered("srv-1", "usr_1", app.at(30)), "seconds"), ended("srv-1", app.at(151))]).await;
    app.hours(2).await;
    let current = Billing::of(&app, "usr_1").await.get("/usage/current").await;
    let row = &current["data"][0];
    assert_eq!((&row["counts"], &row["n"], &row["hours"]), (&json!("second"), &json!(5_400), &json!("1.50")));
    // It ends at half past: that is known.
    assert_eq!((micros(&row["cost"]), micros(&row["forecast"]), &row["ended"]), (5_400_000, 7_260_000, &json!(false)));
    app.pass(2);
    app.bill().await;
    let billing = Billing::of(&app, "usr_1").await;
    let records = billing.all("/usage?limit=1").await;
    let seen: Vec<_> = records.iter().map(|row| (row["quantity"].as_u64().unwrap(), micros(&row["cost"]))).collect();
    assert_eq!(seen, [(1_860, 1_860_000), (3_600, 3_600_000), (1_800, 1_800_000)]);
    assert!(records.iter().all(|row| row["quantity_unit"] == "second" && row["rate"] == "2628.00"));
    let explained = billing.get("/servers/srv-1/explain").await;
    assert_eq!((&explained["lines"][1]["n_before"], &explained["lines"][1]["n_after"]), (&json!(1_800), &json!(5_400)));
    assert_eq!(micros(&explained["totals"][0]["cost"]), 7_260_000);
    app.verify().await;
}
