//! When a call is tried again, and what is known when it failed.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The URL of a service that gives these answers, one for each connection; of an empty one the connection is closed.
pub(crate) async fn service(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4_096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            let (status, body) = answer.split_once(' ').unwrap_or((answer, ""));
            if !answer.is_empty() {
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                stream.write_all(head.as_bytes()).await.unwrap();
            }
        }
    });
    url
}

async fn http(answers: &'static [&'static str]) -> Http {
    let bounds = HttpBounds { pause: Duration::from_millis(1), ..HttpBounds::default() };
    let wording = |body: &Value| (text(body, "/code").unwrap_or_default().to_owned(), String::new());
    let api = Service { name: "test", no_object: "no_object", wording };
    Http::new(api, &Endpoint { base_url: service(answers).await, bounds }).unwrap()
}

async fn post(answers: &'static [&'static str]) -> CallError {
    let call = Call { repeatable: true, ..Call::post("/x") };
    http(answers).await.call(&call).await.unwrap_err()
}

#[tokio::test]
async fn a_refusal_is_one_only_where_nothing_can_have_been_done_before() {
    let refused = post(&[r#"402 {"code":"card_declined"}"#]).await;
    assert_eq!(refused.refusal().unwrap().code, "card_declined");
    for answers in [
        &["", r#"402 {"code":"card_declined"}"#][..],
        &["500 {}", r#"402 {"code":"card_declined"}"#],
        &[r#"400 {"code":"idempotency_error"}"#],
        &[r#"302 {"code":"x"}"#],
    ] {
        let error = post(answers).await;
        assert!(matches!(error, CallError::Unknown { .. }), "{answers:?} {error:?}");
    }
    // What only reads has done nothing, however often.
    let missing = http(&["", "404 {}"]).await.call(&Call::get("/x")).await.unwrap_err();
    assert_eq!(missing.refusal().unwrap().status, 404);
}
