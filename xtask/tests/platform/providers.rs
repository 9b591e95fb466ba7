//! The model and the tools: gone, with a wrong key, and a real provider by three settings.

use std::fs;
use std::time::{Duration, Instant};

use crate::checkout::Checkout;
use crate::web::Provider;

const DEV: &str = "ops/environments/dev.toml";

#[test]
fn failures_are_reported_and_a_real_provider_is_three_settings() {
    let checkout = Checkout::new();
    checkout.up();
    for (service, failing) in [("mcp-tools", "mcp_routing"), ("llm", "llm_provider")] {
        checkout.control().stop(service);
        assert_eq!(checkout.failed_checks(), [failing, "end_to_end"]);
        checkout.up();
        assert_eq!(checkout.failed_checks(), [""; 0]);
    }
    a_real_provider(&checkout);
}

fn a_real_provider(checkout: &Checkout) {
    let provider = Provider::serve("the-key");
    checkout.write(
        DEV,
        &format!(
            "{}\n[llm]\nbase_url = \"http://127.0.0.1:{}/v1\"\nmodel = \"the-real-one\"\napi_key_file = \"provider-key\"\n",
            checkout.read(DEV),
            provider.port
        ),
    );
    let before = checkout.pids();
    let refused = checkout.run(&["dev", "--detach"]);
    assert!(refused.code.is_some_and(|code| code != 0), "{refused:#?}");
    refused.says(&["provider-key", "llm-api-key", "api_key_file"]);
    assert_eq!(checkout.pids(), before, "what runs goes on");

    fs::write(checkout.path("provider-key"), "the-key\n").unwrap();
    let up = checkout.up();
    assert!(up.out.contains("the-real-one at http://127.0.0.1:"), "{up:#?}");
    up.says(&["llm is no longer used"]);
    assert_eq!(checkout.failed_checks(), [""; 0]);
    assert!(provider.answered() >= 2, "the model is asked by two checks");
    assert!(checkout.pids().iter().all(|(name, _)| name != "llm"), "the stand-in is not needed");

    fs::write(checkout.path("provider-key"), "another-key\n").unwrap();
    assert_eq!(checkout.failed_checks(), ["llm_provider", "end_to_end"]);
    a_hard_time_limit(checkout, &provider);
}

/// A platform that takes longer than it may is a failed smoke run, not a run without end.
fn a_hard_time_limit(checkout: &Checkout, provider: &Provider) {
    provider.hang();
    let begun = Instant::now();
    let late = checkout.run(&["smoke", "--limit", "1"]);
    // The check's own limit is eight seconds.
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert_eq!(late.code, Some(1), "{late:#?}");
    late.says(&["within 1 s", "cargo xtask status"]);
}
