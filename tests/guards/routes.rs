//! Every operation is reached: the template's routes lead each path of the API's description to the function of the crate that
//! defines it, under both prefixes, and no route leads to where nothing is.

use super::template::functions;
use serde_yaml_ng::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use utoipa::openapi::OpenApi;

/// Each function behind the API, with the operations of its crate.
pub fn areas() -> [(&'static str, OpenApi); 5] {
    [
        ("health", health::routes().into_openapi()),
        ("auth", auth::routes().into_openapi()),
        ("billing", billing::routes().into_openapi()),
        ("payments", payments::routes().into_openapi()),
        ("admin", admin::routes().into_openapi()),
    ]
}

/// What stands outside of both prefixes: where probes, browsers and RFC 8615 look.
const AT_THE_ROOT: [(&str, &str); 7] = [
    ("/health", "health"),
    ("/openapi.json", "health"),
    ("/docs", "health"),
    ("/docs/", "health"),
    ("/docs/swagger-ui.css", "health"),
    ("/redoc", "health"),
    ("/.well-known/jwks.json", "auth"),
];

/// The template's routes: path to function.
fn routes() -> BTreeMap<String, String> {
    let text = fs::read_to_string(tests::root().join("template.yaml")).unwrap();
    let template: Value = serde_yaml_ng::from_str(&text).unwrap();
    let resources = template["Resources"].as_mapping().unwrap();
    let tagged = |value: &Value| match value {
        Value::Tagged(tagged) => tagged.value.as_str().unwrap_or_default().to_owned(),
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    let function_of = |integration: &str| {
        let properties = &template["Resources"][integration]["Properties"];
        assert_eq!(properties["PayloadFormatVersion"].as_str(), Some("2.0"), "{integration}");
        let function = tagged(&properties["IntegrationUri"]).strip_suffix(".Arn").unwrap().to_owned();
        assert!(functions().contains(&function), "{integration}: {function}");
        let may_call = |resource: &&Value| {
            resource["Type"].as_str() == Some("AWS::Lambda::Permission")
                && tagged(&resource["Properties"]["FunctionName"]) == function
                && tagged(&resource["Properties"]["SourceArn"]).contains("${HttpApi}/*")
        };
        assert!(resources.values().any(|resource| may_call(&resource)), "the API may not call {function}");
        function
    };
    let all = resources.values().filter(|resource| resource["Type"].as_str() == Some("AWS::ApiGatewayV2::Route"));
    let all = all.map(|route| {
        let properties = &route["Properties"];
        let key = properties["RouteKey"].as_str().unwrap();
        // Which methods there are, the routers say.
        let path = key.strip_prefix("ANY ").unwrap_or_else(|| panic!("{key}: only some methods")).to_owned();
        let target = tagged(&properties["Target"]);
        let integration = target.strip_prefix("integrations/${").and_then(|rest| rest.strip_suffix('}'));
        (path, function_of(integration.unwrap_or_else(|| panic!("{key}: {target}"))))
    });
    all.collect()
}

/// As API Gateway chooses: a full match before a greedy one, and of these the longest.
fn routed<'a>(routes: &'a BTreeMap<String, String>, path: &str) -> Option<(&'a str, &'a str)> {
    let full = routes.get_key_value(path);
    let greedy = || {
        let below = |route: &str| {
            let start = route.strip_suffix("{proxy+}");
            start.is_some_and(|start| path.len() > start.len() && path.starts_with(start))
        };
        routes.iter().filter(|(route, _)| below(route)).max_by_key(|(route, _)| route.len())
    };
    full.or_else(greedy).map(|(route, function)| (route.as_str(), function.as_str()))
}

#[test]
fn every_operation_is_routed_to_the_function_that_has_it_and_no_route_leads_nowhere() {
    let routes = routes();
    let mut used = BTreeSet::new();
    let mut check = |path: &str, function: &str| {
        let (route, to) = routed(&routes, path).unwrap_or_else(|| panic!("{path} is not routed"));
        assert_eq!(to, function, "{path}");
        used.insert(route);
    };
    for (function, document) in areas() {
        assert!(!document.paths.paths.is_empty(), "{function}");
        for path in document.paths.paths.keys() {
            let filled: Vec<&str> =
                path.split('/').map(|part| if part.starts_with('{') { "x_1" } else { part }).collect();
            for prefix in ["/api/v1", "/api"] {
                check(&format!("{prefix}{}", filled.join("/")), function);
            }
        }
    }
    for (path, function) in AT_THE_ROOT {
        check(path, function);
    }
    let unused: Vec<&String> = routes.keys().filter(|route| !used.contains(route.as_str())).collect();
    assert!(unused.is_empty(), "routes to nowhere: {unused:?}");
}

#[test]
fn the_published_description_has_all_areas_and_nothing_else() {
    let published: BTreeSet<String> = skymeter::gateway::openapi().paths.paths.into_keys().collect();
    let of_areas: BTreeSet<String> = areas().into_iter().flat_map(|(_, area)| area.paths.paths.into_keys()).collect();
    assert_eq!(published, of_areas);
}

#[test]
fn webhooks_have_a_url_of_their_own_that_anybody_may_call() {
    let text = fs::read_to_string(tests::root().join("template.yaml")).unwrap();
    let template: Value = serde_yaml_ng::from_str(&text).unwrap();
    for function in functions() {
        let url = &template["Resources"][&function]["Properties"]["FunctionUrlConfig"];
        if function == "webhooks" {
            // A signature over the body proves who calls; a processor signs no AWS requests.
            assert_eq!(url["AuthType"].as_str(), Some("NONE"));
            assert!(url["Cors"].is_null(), "no browser calls it");
        } else {
            assert!(url.is_null(), "{function}: only webhooks are called without the API");
        }
    }
}
