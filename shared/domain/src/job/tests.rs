//! What comes out of a message is what went in, or it is refused alone.

use super::*;
use crate::fixtures::{at, h, id, state, step, wallet};
use crate::plan::Metering;

fn header() -> Header {
    Header { through: h(10), issued_at: at(10, 5), per: HoursPerMonth::default(), switch: Switch::always_on() }
}

fn body(server: &str) -> JobBody {
    JobBody {
        server: id(server),
        since: h(2),
        known_from: Some(h(4)),
        rev: 7,
        states: vec![(at(4, 0), State::running()), (at(6, 30), state("stopped"))],
        end: Some(at(9, 0)),
        steps: vec![(h(4), 0), (h(8), 1)],
        unknown_plan: None,
        recheck: Some(h(5)),
    }
}

fn raw<T: Serialize>(value: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

fn message(jobs: Vec<Box<RawValue>>) -> JobMessage {
    let header = header();
    JobMessage {
        v: JOB_MESSAGE_VERSION,
        through: header.through,
        issued_at: header.issued_at,
        per: header.per,
        switch: header.switch,
        terms: vec![
            raw(&step(0, "5.00", Metering::Hourly).terms),
            raw(&step(0, "6.0003", Metering::PerSecond).terms),
            RawValue::from_string(r#"{"version":"v1","price":"-5"}"#.to_owned()).unwrap(),
        ],
        lanes: vec![LaneJobs { customer: id("alice"), unit: Unit::Usd, lane: 0, jobs }],
    }
}

/// As a reader does it: each term and each job by itself.
fn read(message: &JobMessage) -> Vec<Result<Job, Refusal>> {
    let terms: Vec<Result<Terms, String>> =
        message.terms.iter().map(|raw| serde_json::from_str(raw.get()).map_err(|e| e.to_string())).collect();
    let header = Arc::new(header());
    let job = |raw: &RawValue| {
        let body: JobBody = serde_json::from_str(raw.get()).map_err(|e| Refusal::Unreadable(e.to_string()))?;
        body.resolve(&wallet("alice"), &terms, &header)
    };
    message.lanes.iter().flat_map(|lane| &lane.jobs).map(|raw| job(raw)).collect()
}

#[test]
fn a_message_survives_json() {
    let sent = message(vec![raw(&body("s1"))]);
    let json = serde_json::to_string(&sent).unwrap();
    let got: JobMessage = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&got).unwrap(), json);
    assert_eq!((got.through, got.issued_at, &got.per, &got.switch), (h(10), at(10, 5), &sent.per, &sent.switch));
    let job = read(&got).remove(0).unwrap();
    assert_eq!(job.tenure, Tenure { server: id("s1"), since: h(2), wallet: wallet("alice") });
    assert_eq!((job.known_from, job.rev, job.recheck), (h(4), 7, Some(h(5))));
    assert_eq!(job.timeline.states(), body("s1").states);
    assert_eq!(job.timeline.end(), Some(at(9, 0)));
    assert_eq!(job.steps, [step(4, "5.00", Metering::Hourly), step(8, "6.0003", Metering::PerSecond)]);
}

#[test]
fn a_body_survives_json_with_and_without_its_optional_fields() {
    let full = JobBody { unknown_plan: Some(id("huge")), ..body("s1") };
    let bare = JobBody { known_from: None, end: None, recheck: None, ..body("s1") };
    for body in [full, bare.clone()] {
        let json = serde_json::to_string(&body).unwrap();
        assert_eq!(serde_json::from_str::<JobBody>(&json).unwrap(), body);
        assert!(!json.contains("null"), "absent fields are left out: {json}");
    }
    let job = read(&message(vec![raw(&bare)])).remove(0).unwrap();
    assert_eq!((job.known_from, job.timeline.end()), (h(2), None));
}

#[test]
fn an_unknown_field_is_refused_everywhere() {
    let with = |json: String| format!("{},\"amount\":\"1.00\"}}", json.strip_suffix('}').unwrap());
    let message = message(Vec::new());
    assert!(serde_json::from_str::<JobMessage>(&with(serde_json::to_string(&message).unwrap())).is_err());
    assert!(serde_json::from_str::<JobBody>(&with(serde_json::to_string(&body("s1")).unwrap())).is_err());
    assert!(serde_json::from_str::<LaneJobs>(&with(serde_json::to_string(&message.lanes[0]).unwrap())).is_err());
    assert!(serde_json::from_str::<Terms>(&with(message.terms[0].get().to_owned())).is_err());
    let shard = serde_json::to_string(&ShardMessage { through: h(1), shard: 3 }).unwrap();
    assert!(serde_json::from_str::<ShardMessage>(&shard).is_ok());
    assert!(serde_json::from_str::<ShardMessage>(&with(shard)).is_err());
}

#[test]
fn a_bad_job_is_refused_alone() {
    let bad = RawValue::from_string(r#"{"server":"a#b","since":1}"#.to_owned()).unwrap();
    let json = serde_json::to_string(&message(vec![raw(&body("a")), bad, raw(&body("z"))])).unwrap();
    let read = read(&serde_json::from_str(&json).unwrap());
    let servers = read.iter().map(|job| job.as_ref().ok().map(|job| job.tenure.server.as_str()));
    assert_eq!(servers.collect::<Vec<_>>(), [Some("a"), None, Some("z")]);
    assert!(matches!(&read[1], Err(Refusal::Unreadable(reason)) if reason.contains("a#b")));
}

#[test]
fn a_job_that_cannot_be_rated_is_refused_and_says_why() {
    let refused = |body: JobBody| read(&message(vec![raw(&body)])).remove(0).unwrap_err();
    let unknown = JobBody { unknown_plan: Some(id("huge")), ..body("s1") };
    assert_eq!(refused(unknown), Refusal::UnknownPlan(id("huge")));
    let bad_terms = refused(JobBody { steps: vec![(h(4), 2)], ..body("s1") });
    assert!(matches!(bad_terms, Refusal::BadTerms(reason) if reason.contains("not between")));
    let no_terms = refused(JobBody { steps: vec![(h(4), 3)], ..body("s1") });
    assert_eq!(no_terms, Refusal::BadTerms("there are no terms number 3".to_owned()));
    assert_eq!(refused(JobBody { states: Vec::new(), ..body("s1") }), Refusal::TooLong);
    for disordered in [
        JobBody { steps: vec![(h(8), 1), (h(4), 0)], ..body("s1") },
        JobBody { states: body("s1").states.into_iter().rev().collect(), ..body("s1") },
        JobBody { end: Some(at(3, 0)), ..body("s1") },
    ] {
        assert!(matches!(refused(disordered), Refusal::Unreadable(_)));
    }
}

#[test]
fn a_job_issued_before_its_hour_had_ended_is_refused() {
    let resolved = |issued_at| {
        let header = Arc::new(Header { issued_at, ..header() });
        let terms = [Ok(step(0, "5.00", Metering::Hourly).terms)];
        JobBody { steps: vec![(h(4), 0)], ..body("s1") }.resolve(&wallet("alice"), &terms, &header).err()
    };
    assert_eq!(resolved(at(10, 0)), None);
    let early = Refusal::IssuedEarly { issued_at: at(9, 3_599), through: h(10) };
    assert_eq!(resolved(at(9, 3_599)), Some(early));
}

#[test]
fn a_job_is_valid_for_six_hours_and_from_a_minute_ahead_of_the_clock() {
    let header = Header { through: h(10), issued_at: at(10, 100), ..header() };
    let after = |secs| header.validity(header.issued_at.plus_secs(secs));
    assert_eq!(
        (after(0), after(6 * 3_600), after(6 * 3_600 + 1)),
        (Validity::Valid, Validity::Valid, Validity::Expired)
    );
    assert_eq!((after(-60), after(-61)), (Validity::Valid, Validity::TooEarly), "our clock is behind: try again");
}

#[test]
fn an_hour_that_has_not_ended_by_the_readers_clock_is_too_early() {
    let header = Header { through: h(10), issued_at: at(10, 0), ..header() };
    assert_eq!(header.validity(at(10, 0)), Validity::Valid);
    assert_eq!(header.validity(at(9, 3_599)), Validity::TooEarly);
    assert_eq!(header.validity(at(9, 3_540)), Validity::TooEarly);
    assert_eq!(header.validity(at(9, 3_539)), Validity::TooEarly, "however far behind it is");
}

#[test]
fn a_parked_job_tells_its_server_as_far_as_it_can_be_read() {
    let name = |job: &str| Parked { reason: "r".into(), at: at(0, 0), wallet: None, job: job.to_owned() }.server_name();
    assert_eq!(name(raw(&body("s1")).get()), "s1");
    assert_eq!(name(r#"{"server":5}"#), "unreadable");
    assert_eq!(name("{"), "unreadable");
    assert_eq!(name(&format!(r#"{{"server":"{}"}}"#, "x".repeat(100))).len(), 64);
}
