//! The one item every request looks at: bounded, atomic, and never read as more than it says.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::{Email, Role, Status};
use domain::{Id, Timestamp};
use std::collections::BTreeSet;
use store::{MAX_SESSIONS, NewUser, Profile, Secret, Store, StoreError, UserChange, keys};
use tests::{TestApp, id};

async fn user(store: &Store, name: &str, now: Timestamp) -> Id {
    let profile = Profile {
        id: id(&format!("usr_{name}")),
        email: Some(Email::parse(&format!("{name}@example.com")).unwrap()),
        name: Some(name.to_owned()),
        company: None,
        email_verified_at: Some(now),
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let secret = Secret { password: "no hash at all".to_owned(), generation: 1, second: None };
    store.user_create(&NewUser { profile: profile.clone(), role: Role::User, secret }, None, now).await.unwrap();
    profile.id
}

fn session(n: usize) -> Id {
    id(&format!("ses_{n:04}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_sign_ins_at_once_twenty_sessions_are_left_and_what_made_room_is_told() {
    let app = TestApp::new().await;
    let store = app.system.store.clone();
    let ada = user(&store, "ada", app.time.now()).await;
    for n in 0..MAX_SESSIONS {
        assert!(store.access_session_add(&ada, &session(n)).await.unwrap().is_empty());
    }
    let adds = (100..106).map(|n| {
        let (store, ada) = (store.clone(), ada.clone());
        tokio::spawn(async move { store.access_session_add(&ada, &session(n)).await.unwrap() })
    });
    let mut dropped = BTreeSet::new();
    for add in adds.collect::<Vec<_>>() {
        dropped.extend(add.await.unwrap());
    }
    let left = store.access_get(&ada).await.unwrap().unwrap().sessions;
    assert!(left.len() <= MAX_SESSIONS && left.is_disjoint(&dropped));
    assert!((100..106).all(|n| left.contains(&session(n))), "the newest are never the ones to go: {left:?}");
    assert!(dropped.iter().all(|gone| *gone < session(6 * 6)), "{dropped:?}");
    // Twice is once.
    assert!(store.access_session_add(&ada, &session(105)).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_ended_stays_ended_and_who_is_not_there_gains_nothing() {
    let app = TestApp::new().await;
    let store = &app.system.store;
    let ada = user(store, "ada", app.time.now()).await;
    let sessions = |n: &[usize]| n.iter().map(|n| session(*n)).collect::<BTreeSet<Id>>();
    let live = || async { store.access_get(&ada).await.unwrap().unwrap().sessions };
    for n in 0..4 {
        store.access_session_add(&ada, &session(n)).await.unwrap();
    }
    store.access_session_remove(&ada, &[session(0), session(9)]).await.unwrap();
    assert_eq!(live().await, sessions(&[1, 2, 3]));
    store.access_sessions_end(&ada, Some(&session(2))).await.unwrap();
    assert_eq!(live().await, sessions(&[2]));
    // One that is over is not brought back by keeping it.
    store.access_sessions_end(&ada, Some(&session(3))).await.unwrap();
    assert_eq!(live().await, sessions(&[]));
    // Suspension keeps sessions, deactivation ends them; both keep new ones out.
    store.access_session_add(&ada, &session(5)).await.unwrap();
    let before = store.access_status_set(&ada, Status::Suspended).await.unwrap().unwrap();
    assert_eq!((before.status, before.sessions), (Status::Active, sessions(&[5])));
    assert!(matches!(store.access_session_add(&ada, &session(6)).await, Err(StoreError::Conflict(_))));
    assert_eq!(live().await, sessions(&[5]));
    store.access_status_set(&ada, Status::Deactivated).await.unwrap();
    assert_eq!(live().await, sessions(&[]));
    // Deleted is for good.
    store.access_status_set(&ada, Status::Deleted).await.unwrap();
    for status in [Status::Active, Status::Suspended, Status::Deleted] {
        assert!(store.access_status_set(&ada, status).await.unwrap().is_none());
    }
    // Nobody is made by any of it.
    let nobody = id("usr_nobody");
    store.access_session_remove(&nobody, &[session(1)]).await.unwrap();
    store.access_sessions_end(&nobody, Some(&session(1))).await.unwrap();
    store.access_key_remove(&nobody, &id("key_1")).await.unwrap();
    assert!(store.access_status_set(&nobody, Status::Active).await.unwrap().is_none());
    assert!(matches!(store.access_session_add(&nobody, &session(1)).await, Err(StoreError::Conflict(_))));
    assert!(store.access_get(&nobody).await.unwrap().is_none());
}

#[tokio::test]
async fn an_item_that_cannot_be_read_allows_nothing() {
    let app = TestApp::new().await;
    let store = &app.system.store;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let good = [("status", text("active")), ("role", text("user")), ("keys", AttributeValue::M([].into()))];
    let mut bad: Vec<(&str, Option<AttributeValue>)> = good.iter().map(|(name, _)| (*name, None)).collect();
    bad.extend([("status", Some(text("alive"))), ("role", Some(text("root"))), ("sessions", Some(text("ses_1")))]);
    bad.push(("keys", Some(AttributeValue::M([("key_1".to_owned(), text("{}"))].into()))));
    bad.push(("sessions", Some(AttributeValue::Ss(vec!["not an id".to_owned()]))));
    for (name, value) in bad {
        let put = store.client().put_item().table_name(&store.tables().main);
        let put = put.item(keys::PK, text(&keys::access(&id("usr_1")))).item(keys::SK, text(keys::ACCESS));
        let put = good
            .iter()
            .filter(|(other, _)| *other != name)
            .fold(put, |put, (name, value)| put.item(*name, value.clone()));
        value.iter().fold(put, |put, value| put.item(name, value.clone())).send().await.unwrap();
        let read = store.access_get(&id("usr_1")).await;
        assert!(matches!(read, Err(StoreError::Corrupt(..))), "{name} {value:?}: {read:?}");
    }
}

#[tokio::test]
async fn users_are_listed_newest_first_and_changed_over_what_was_read() {
    let app = TestApp::new().await;
    let store = &app.system.store;
    for name in ["01", "02", "03"] {
        user(store, name, app.time.now()).await;
    }
    let taken = NewUser {
        profile: Profile { id: id("usr_99"), ..store.user_get(&id("usr_01")).await.unwrap().unwrap().0 },
        role: Role::Admin,
        secret: Secret { password: String::new(), generation: 1, second: None },
    };
    assert!(matches!(store.user_create(&taken, None, app.time.now()).await, Err(StoreError::Conflict(_))));
    assert!(
        store.user_get(&id("usr_99")).await.unwrap().is_none()
            && store.access_get(&id("usr_99")).await.unwrap().is_none()
    );
    let names = |list: Vec<Profile>| list.into_iter().map(|user| user.id.to_string()).collect::<Vec<_>>();
    assert_eq!(names(store.user_list(None, 2).await.unwrap()), ["usr_03", "usr_02"]);
    assert_eq!(names(store.user_list(Some(&id("usr_02")), 2).await.unwrap()), ["usr_01"]);
    let change = UserChange { name: Some(String::new()), company: Some("Engines".to_owned()) };
    let later = app.time.now().plus_secs(9);
    let (old, new) = store.user_change(&id("usr_01"), &change, later).await.unwrap().unwrap();
    assert_eq!((old.name.as_deref(), new.name, new.company.as_deref()), (Some("01"), None, Some("Engines")));
    let listed = store.user_list(Some(&id("usr_02")), 1).await.unwrap().remove(0);
    assert_eq!((listed.company.as_deref(), listed.updated_at), (Some("Engines"), later));
    assert!(store.user_change(&id("usr_nobody"), &change, later).await.unwrap().is_none());
    // A secret is replaced only over what was read.
    let (secret, rev) = store.user_secret(&id("usr_01")).await.unwrap().unwrap();
    store.user_secret_put(&id("usr_01"), &secret, rev).await.unwrap();
    assert!(matches!(store.user_secret_put(&id("usr_01"), &secret, rev).await, Err(StoreError::Conflict(_))));
    assert!(!format!("{secret:?}").contains("hash"));
}
