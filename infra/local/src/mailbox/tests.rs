use super::*;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use providers::Letter;
use tower::ServiceExt;

fn mail(subject: &str, text: &str, html: &str) -> RawMail {
    let letter = Letter {
        from_name: "Skymeter".to_owned(),
        from: "billing@skymeter.example".to_owned(),
        to: "ann@example.com".to_owned(),
        reply_to: None,
        subject: subject.to_owned(),
        text: text.to_owned(),
        html: html.to_owned(),
        message_id: "0123".to_owned(),
        date_secs: 1_793_232_000,
    };
    letter.seal().unwrap()
}

async fn get(mailbox: &Mailbox, path: &str) -> (StatusCode, String, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(mailbox.clone()).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let policy = parts.headers.get("content-security-policy").unwrap().to_str().unwrap().to_owned();
    (parts.status, policy, String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn a_mail_is_read_as_it_was_written() {
    let mailbox = Mailbox::open(None).unwrap();
    for subject in
        ["Plain", "Größe: 5 € für eine sehr lange Zeile, die in mehrere Wörter zerlegt werden muss, oder nicht?"]
    {
        for text in ["Hello.\n\nhttps://a.example/verify?token=a=b\n", "Grüße = €\n", &"long ".repeat(500)] {
            mailbox.send(mail(subject, text, &format!("<p>{text}</p>"))).await.unwrap();
            let newest = mailbox.newest_to("Ann@example.com").unwrap();
            assert_eq!((newest.subject.as_str(), newest.to.as_str()), (subject, "ann@example.com"));
            let same = |a: &str, b: &str| assert_eq!(a.trim().replace("\r\n", "\n"), b.trim());
            same(&newest.text, text);
            same(&newest.html, format!("<p>{text}</p>").trim());
        }
    }
    assert_eq!(mailbox.all()[0].links(), ["https://a.example/verify?token=a=b"]);
    assert_eq!(mailbox.all()[0].date, "Thu, 29 Oct 2026 00:00:00 +0000");
}

#[tokio::test]
async fn the_last_mails_are_kept_also_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mailbox = Mailbox::open(Some(folder.path())).unwrap();
    for n in 0..KEPT_MAILS + 3 {
        mailbox.send(mail(&format!("Mail {n}"), "x", "x")).await.unwrap();
    }
    let again = Mailbox::open(Some(folder.path())).unwrap();
    assert_eq!(again.all(), mailbox.all());
    assert_eq!(again.all().len(), KEPT_MAILS);
    assert_eq!(again.all()[0].subject, "Mail 3");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), KEPT_MAILS);
    // Numbers go on.
    again.send(mail("After", "x", "x")).await.unwrap();
    assert_eq!(again.all().last().unwrap().number, 204);
}

#[tokio::test]
async fn nothing_of_a_mail_becomes_part_of_our_pages() {
    let mailbox = Mailbox::open(None).unwrap();
    let hostile = "<script>alert(1)</script> \"><img src=x onerror=alert(1)>";
    let link = "https://a.example/x?token=1&b=2";
    mailbox.send(mail(hostile, &format!("{hostile}\nhttp://a\"onmouseover=b {link} .\n"), hostile)).await.unwrap();
    for path in ["/mailbox", "/mailbox/1"] {
        let (status, policy, page) = get(&mailbox, path).await;
        assert_eq!(status, StatusCode::OK);
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("\"onmouseover"), "{page}");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
        assert!(page.contains("&lt;script&gt;"));
    }
    let (_, _, page) = get(&mailbox, "/mailbox/1").await;
    assert!(page.contains("<a href=\"https://a.example/x?token=1&amp;b=2\""), "{page}");
    // The mail's own HTML is as it was sent, in a sandbox without scripts.
    let (_, policy, page) = get(&mailbox, "/mailbox/1/html").await;
    assert!(page.contains(hostile));
    assert!(policy.contains("sandbox allow-popups") && !policy.contains("script"), "{policy}");
    let (_, policy, page) = get(&mailbox, "/mailbox/app/%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert!(!page.contains("<script>") && policy.contains("script-src 'self'"), "{page}");
    assert_eq!(get(&mailbox, "/mailbox/2").await.0, StatusCode::NOT_FOUND);
    for path in ["/mailbox/app/verify-email?token=x", "/mailbox/app/reset-password", "/mailbox/app", "/mailbox/app.js"]
    {
        assert_eq!(get(&mailbox, path).await.0, StatusCode::OK, "{path}");
    }
}
