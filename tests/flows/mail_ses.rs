//! SES for real: `aws-sdk-ses` against ministack, which parses what arrives with a parser of its own.

use super::mail::{ANN, TIME_LEFT, config, mail};
use super::ministack::Ministack;
use domain::mail::Template;
use mailer::Mailing;
use providers::SesMailer;
use serde_json::{Value, json};
use std::sync::Arc;
use store::{MailStatus, OutboxMail};
use tests::TestApp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What ministack has got.
async fn messages(ministack: &Ministack) -> Vec<Value> {
    let host = ministack.sdk.endpoint_url().unwrap().strip_prefix("http://").unwrap().to_owned();
    let mut socket = tokio::net::TcpStream::connect(&host).await.unwrap();
    let request = format!("GET /_ministack/ses/messages HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (start, end) = (answer.find('{').unwrap(), answer.rfind('}').unwrap());
    let json: Value = serde_json::from_str(&answer[start..=end]).unwrap();
    json["messages"].as_object().unwrap().values().flat_map(|list| list.as_array().unwrap().clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_mail_arrives_with_its_text_and_its_html() {
    let Some(ministack) = Ministack::start().await else { return };
    // SES takes mail from identities that are verified; here a domain is as soon as somebody asks.
    let ses = aws_sdk_ses::Client::new(&ministack.sdk);
    ses.verify_domain_identity().domain("skymeter.example").send().await.unwrap();
    let app = TestApp::new().await;
    let store = &app.system.store;
    let ses = Arc::new(SesMailer::new(&ministack.sdk, None));
    let mailing = Mailing::new(store.clone(), ses, config(), app.time.clock()).unwrap();
    let receipt = OutboxMail::to_address("receipt:pay_1", "bob@example.com", Template::Receipt)
        .with("payment", "pay_1")
        .with("amount", "20.00 USD")
        .with("at", "10 November 2026")
        .with("name", "Bøb Łuk");
    for mail in [mail("verify:1"), receipt] {
        store.mail_enqueue(&mail, app.time.now()).await.unwrap();
        let event = json!({ "Records": [{ "messageId": "m", "body": mail.id, "eventSource": "aws:sqs" }] });
        assert_eq!(mailing.handle(event, TIME_LEFT).await.unwrap(), json!({ "batchItemFailures": [] }));
        let kept = store.mail_get(&mail.id).await.unwrap().unwrap();
        assert_eq!(kept.status, MailStatus::Sent, "{kept:?}");
    }
    let messages = messages(&ministack).await;
    assert_eq!(messages.len(), 2, "{messages:?}");
    let to = |address: &str| messages.iter().find(|message| message["To"].to_string().contains(address)).unwrap();
    assert_eq!(to(ANN)["Subject"], "Confirm your address for Skymeter");
    assert_eq!(to(ANN)["Source"], "billing@skymeter.example");
    assert_eq!(to("bob@example.com")["Subject"], "Receipt: 20.00 USD for Skymeter");
    // The service's own name for it is what the outbox keeps.
    let kept = store.mail_get("verify:1").await.unwrap().unwrap().message_id;
    assert_eq!(to(ANN)["MessageId"].as_str(), kept.as_deref());
}
