//! What an operator changes at the command line stands in the audit log as what an admin changes does.

use auth::operator::{OperatorError, make_admin, set_role};
use domain::account::Role;
use domain::settings::HOURLY_BILLING_ENABLED;
use serde_json::json;
use skymeter::commands::keys::withdraw;
use skymeter::commands::switch;
use store::{AuditFilter, AuditRecord};
use tests::TestApp;

/// What the operator did this month, oldest first.
async fn records(app: &TestApp) -> Vec<AuditRecord> {
    let filter = AuditFilter { actor: Some("operator".to_owned()), ..AuditFilter::default() };
    let mut rows = app.system.store.audit_list(app.hour().month(), &filter, None, 100).await.unwrap().rows;
    rows.reverse();
    rows
}

#[tokio::test]
async fn a_role_is_given_and_taken_with_a_record_of_each_and_of_nothing_else() {
    let app = TestApp::new().await;
    let (account, store) = (app.sign_up("ada@example.com").await, &app.system.store);
    let role = async || store.access_get(&account.user).await.unwrap().unwrap().role;
    make_admin(store, "ada@example.com", app.time.now()).await.unwrap();
    assert_eq!(role().await, Role::Admin);
    // It is so already.
    make_admin(store, "ada@example.com", app.time.now()).await.unwrap();
    app.pass_secs(1);
    set_role(store, "ada@example.com", Role::User, app.time.now()).await.unwrap();
    assert_eq!(role().await, Role::User);
    let nobody = set_role(store, "bob@example.com", Role::Admin, app.time.now()).await;
    assert!(matches!(nobody, Err(OperatorError::Nobody)), "{nobody:?}");

    let records = records(&app).await;
    let object = format!("user/{}", account.user);
    assert_eq!(records.len(), 2, "{records:?}");
    for (record, was, is) in [(&records[0], "user", "admin"), (&records[1], "admin", "user")] {
        assert_eq!((record.action.as_str(), &record.object), ("user.update", &object));
        assert_eq!((&record.before, &record.after), (&json!({ "role": was }), &json!({ "role": is })));
        assert_eq!((record.address.as_str(), record.request_id.as_str()), ("cli", record.id.as_str()));
    }
    // Who is gone gets no role.
    let (profile, rev) = store.user_get(&account.user).await.unwrap().unwrap();
    store.user_erase((&profile, rev), app.time.now()).await.unwrap();
    let gone = make_admin(store, "ada@example.com", app.time.now()).await;
    assert!(matches!(gone, Err(OperatorError::Nobody)), "{gone:?}");
}

#[tokio::test]
async fn the_switch_and_a_withdrawn_key_are_written_down() {
    let app = TestApp::new().await;
    let store = &app.system.store;
    app.sign_up("ada@example.com").await;
    app.pass_secs(1);
    switch::set(store, false, app.time.now()).await.unwrap();
    let settings = store.billing_settings().await.unwrap();
    assert!(settings.switch.is_on(app.hour()) && !settings.switch.is_on(app.hour().plus(1)));
    app.pass_secs(1);
    let kid = app.signer().public().kid.clone();
    for _ in 0..2 {
        withdraw(store, &kid, true, app.time.now()).await.unwrap();
    }
    let records = records(&app).await;
    let seen: Vec<_> = records.iter().map(|record| (record.action.as_str(), record.object.clone())).collect();
    let setting = format!("setting/{HOURLY_BILLING_ENABLED}");
    assert_eq!(seen, [("setting.set", setting), ("access_key.retire", format!("access_key/{kid}"))]);
    assert_eq!((&records[0].before["value"], &records[0].after["value"]), (&json!(true), &json!(false)));
    let (_, stamps) = store.settings_read().await.unwrap();
    assert_eq!(stamps[HOURLY_BILLING_ENABLED].by, "operator");
}
