//! What strangers can cost at the door has a lid: the stage's settings, which API Gateway takes as numbers and by route.

use super::template::{parsed, scalar, texts};
use serde_yaml_ng::Value;

/// Rate and burst of a route, by the parameters they refer to.
fn limits(settings: &Value) -> [String; 2] {
    ["ThrottlingRateLimit", "ThrottlingBurstLimit"].map(|name| scalar(&settings[name]))
}

#[test]
fn every_route_has_a_lid_and_that_of_sign_in_is_lower() {
    let template = parsed("template.yaml");
    let resources = &template["Resources"];
    let stage = &resources["HttpApiStage"];
    let by_default = limits(&stage["Properties"]["DefaultRouteSettings"]);
    let by_route = stage["Properties"]["RouteSettings"].as_mapping().unwrap();
    let number = |parameter: &str, name: &str| template["Parameters"][parameter][name].as_u64().unwrap();
    let waits_for = texts(&stage["DependsOn"]);
    for (route, settings) in by_route {
        // A route's settings stand for all of the stage's: what is left out is not taken from there.
        for (own, general) in limits(settings).iter().zip(&by_default) {
            assert!(number(own, "Default") < number(general, "Default"), "{route:?}");
        }
        let is_it = |name: &&String| resources[name.as_str()]["Properties"]["RouteKey"] == *route;
        assert!(waits_for.iter().any(|name| is_it(&name)), "{route:?}: its settings may come before it");
    }
    let keys: Vec<&str> = by_route.keys().filter_map(Value::as_str).collect();
    assert_eq!(keys, ["ANY /api/auth/{proxy+}", "ANY /api/v1/auth/{proxy+}"]);
    for (parameter, most) in
        [("ApiRequestsPerSecond", 10_000), ("AuthRequestsPerSecond", 10_000), ("ApiBurst", 5_000), ("AuthBurst", 5_000)]
    {
        assert_eq!((number(parameter, "MinValue"), number(parameter, "MaxValue")), (1, most), "{parameter}");
        assert!((1..=most).contains(&number(parameter, "Default")), "{parameter}");
    }
}
