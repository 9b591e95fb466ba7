//! The class of every kind of change: a row for each value of the serialised platform. What has no row counts as
//! loosening, and the tests demand a row for every field and variant of the model's types.
//!
//! In a pattern `*` is an element of a list, `a|b` one of several fields, `**` anything below. A row for the elements
//! stands for their list too. The first row that fits counts.

use vocabulary::model::ChangeClass::{self, LoosensLimit, Neutral, NewPermission, WidensReach};

/// How a change of one value is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// The class of an addition, of a removal, of any other change, of another order.
    Each([ChangeClass; 4]),
    /// A number that holds back, or after which something is noticed: more is looser, and 0 or none is no bound.
    Bound,
    /// The same where 0 is the strictest.
    AtMost,
    /// The same where none means what the engine does by itself, which may be less.
    BoundOrDefault,
    /// A number that may not shrink.
    AtLeast,
    /// Words from the strictest to the loosest; a step towards the looser ones is of the class.
    Towards(&'static [&'static str], ChangeClass),
    /// A port: it depends on who may reach it.
    Port,
    /// A permission to connect: nothing is seen any more of what was scraped over it.
    Edge,
    /// The name of an image: another tag is an update, another repository is another author.
    Image,
    /// What a tag or version stands for. It changes when this neighbour does; when it changes alone, the tag was moved.
    PinOf(&'static str),
}

use Rule::{AtLeast, AtMost, Bound, BoundOrDefault, Each, Edge, Image, PinOf, Port, Towards};

/// Words for people, and what no safety rests on.
const FREE: Rule = Each([Neutral; 4]);
/// What a change does cannot be told from the value: the graver class counts.
const SETTING: Rule = Each([LoosensLimit; 4]);
/// Keeps something, holds it back or makes it seen: it may come, but not go.
const GUARD: Rule = Each([Neutral, LoosensLimit, LoosensLimit, Neutral]);
/// With more of these less is held back or checked.
const EXCUSE: Rule = Each([LoosensLimit, Neutral, LoosensLimit, Neutral]);
const REACH: Rule = Each([WidensReach, Neutral, WidensReach, Neutral]);
const GRANT: Rule = Each([NewPermission, Neutral, NewPermission, Neutral]);
/// Requests go elsewhere.
const ROUTE: Rule = Each([WidensReach; 4]);
/// Another user owns other things; another key signs other releases.
const OTHER: Rule = Each([NewPermission; 4]);

pub const EXPOSURES: &[&str] = &["internal", "development", "operator", "public"];

pub const ROWS: &[(&str, Rule)] = &[
    ("name", SETTING),
    // Services
    ("services/*", GUARD),
    ("services/*/id", SETTING),
    ("services/*/purpose", FREE),
    // It runs where nobody asks for it, or no longer does.
    ("services/*/group", SETTING),
    ("services/*/lifetime", SETTING),
    ("services/*/lifetime/long-running", SETTING),
    ("services/*/lifetime/long-running/replicas", AtLeast),
    ("services/*/image", SETTING),
    ("services/*/image/pinned|built|pending", SETTING),
    ("services/*/image/pinned/reference", Image),
    ("services/*/image/pinned/digest", PinOf("reference")),
    ("services/*/image/built/dockerfile|target", SETTING),
    ("services/*/image/pending/reason", FREE),
    ("services/*/ports/*", Port),
    ("services/*/ports/*/name", SETTING),
    ("services/*/ports/*/number|purpose", FREE),
    ("services/*/ports/*/protocol", Towards(&["https", "http", "tcp"], LoosensLimit)),
    ("services/*/ports/*/exposure", Towards(EXPOSURES, WidensReach)),
    ("services/*/edges/*", Edge),
    ("services/*/edges/*/to", REACH),
    ("services/*/edges/*/to/port", REACH),
    ("services/*/edges/*/need", Towards(&["start", "run"], LoosensLimit)),
    ("services/*/edges/*/why", FREE),
    ("services/*/edges/*/scrape", GUARD),
    ("services/*/edges/*/scrape/path", SETTING),
    ("services/*/edges/*/scrape/every_seconds", Bound),
    ("services/*/starts_after/*", GUARD),
    ("services/*/variables/**", SETTING),
    ("services/*/secrets/*", GRANT),
    ("services/*/secrets/*/secret", GRANT),
    ("services/*/secrets/*/variable", SETTING),
    ("services/*/health", GUARD),
    ("services/*/health/**", SETTING),
    ("services/*/stop", SETTING),
    // Less cuts off what is under way, more holds up a stop.
    ("services/*/stop/signal|grace_seconds", SETTING),
    ("services/*/resources", GUARD),
    ("services/*/resources/memory_mib|cpu_millis|pids", Bound),
    ("services/*/volumes/*", GUARD),
    ("services/*/volumes/*/name", SETTING),
    ("services/*/volumes/*/purpose", FREE),
    ("services/*/volumes/*/precious", Towards(&["true", "false"], LoosensLimit)),
    ("services/*/metrics/*", GUARD),
    ("services/*/metrics/*/name|kind|ours", SETTING),
    ("services/*/metrics/*/kind/histogram", SETTING),
    ("services/*/metrics/*/kind/histogram/buckets/*", GUARD),
    ("services/*/metrics/*/help", FREE),
    ("services/*/metrics/*/labels/*", GUARD),
    ("services/*/alerts/*", GUARD),
    ("services/*/alerts/*/name|expression", SETTING),
    (
        "services/*/alerts/*/severity",
        Towards(&["critical", "warning", "business", "heartbeat"], LoosensLimit),
    ),
    ("services/*/alerts/*/for_minutes", AtMost),
    ("services/*/alerts/*/owner|meaning|impact|remedy", FREE),
    ("services/*/alerts/*/fault/**", SETTING),
    ("services/*/alerts/*/checks/*", GUARD),
    ("services/*/alerts/*/checks/*/command|look_for", FREE),
    // What a rule was shown to do.
    ("services/*/alerts/*/tests/*", GUARD),
    ("services/*/alerts/*/tests/*/what", FREE),
    ("services/*/alerts/*/tests/**", SETTING),
    // Dashboards and alerts read them.
    ("recordings/*", GUARD),
    ("recordings/*/name|expression", SETTING),
    ("recordings/*/help", FREE),
    ("recordings/*/tests/*", GUARD),
    ("recordings/*/tests/*/what", FREE),
    ("recordings/*/tests/**", SETTING),
    ("dashboards/*", SETTING),
    ("dashboards/*/id", SETTING),
    ("dashboards/*/title|about", FREE),
    ("dashboards/*/panels/*", SETTING),
    ("dashboards/*/panels/*/title|about|unit", FREE),
    ("dashboards/*/panels/*/queries/*", SETTING),
    ("dashboards/*/panels/*/queries/*/expression", SETTING),
    ("dashboards/*/panels/*/queries/*/legend", FREE),
    ("services/*/process", SETTING),
    ("services/*/process/initialise|commands/**", SETTING),
    ("services/*/process/identity", Towards(&["notroot", "caller"], NewPermission)),
    // What a developer's machine watches.
    ("services/*/process/on_change/*/paths/*", FREE),
    ("services/*/process/on_change/**", SETTING),
    ("services/*/container", SETTING),
    ("services/*/container/runs", SETTING),
    ("services/*/container/runs/in_development", FREE),
    ("services/*/container/runs/user", OTHER),
    ("services/*/container/runs/user/uid|gid", OTHER),
    ("services/*/container/runs/sources/*", GRANT),
    ("services/*/container/runs/folders/*/storage/memory/mib", Bound),
    ("services/*/container/runs/command|variables|folders|configuration/**", SETTING),
    // Everything else of a container is read-only.
    ("services/*/container/runs/scratch/*", EXCUSE),
    ("services/*/container/runs/scratch/*/path", SETTING),
    ("services/*/container/runs/scratch/*/mib", Bound),
    ("services/*/container/runs/probe", Towards(&["script", "wget", "nothing"], LoosensLimit)),
    ("services/*/container/runs/shared_memory_mib|open_files", BoundOrDefault),
    ("services/*/container/runs/debugger", REACH),
    // Secrets and labels
    ("secrets/*", GUARD),
    ("secrets/*/name", SETTING),
    ("secrets/*/purpose", FREE),
    // How it is replaced, and so whether the old value dies.
    ("secrets/*/kind", OTHER),
    ("secrets/*/kind/database-login|database-password", OTHER),
    ("secrets/*/kind/database-login|database-password/role", OTHER),
    ("secrets/*/source", Towards(&["generated", "provided"], LoosensLimit)),
    ("secrets/*/source/generated|provided", SETTING),
    ("secrets/*/source/generated/bytes", AtLeast),
    ("secrets/*/source/provided/by", SETTING),
    ("secrets/*/rotate_after_days", Bound),
    ("labels/*", GUARD),
    ("labels/*/name", SETTING),
    ("labels/*/purpose|example", FREE),
    ("labels/*/unbounded", Towards(&["true", "false"], LoosensLimit)),
    // Roles
    ("workers|database|release", SETTING),
    ("workers/flows|operations|editor", ROUTE),
    ("workers/operations_token|api_key", SETTING),
    ("database/port", ROUTE),
    ("database/name|user|password|migrations|discard|credential|contract", SETTING),
    ("database/contract/folder|variable", SETTING),
    ("tools", ROUTE),
    ("monitoring", GUARD),
    ("monitoring/scraper|notifier", ROUTE),
    ("monitoring/viewer", GUARD),
    ("monitoring/viewer/web", ROUTE),
    ("monitoring/viewer/configuration", SETTING),
    ("monitoring/scraper_configuration|notifier_configuration", SETTING),
    ("monitoring/paging_key|chat_webhook|mail_password", SETTING),
    ("log_store", GUARD),
    ("log_store/api", ROUTE),
    ("log_store/collector", SETTING),
    ("secret_store", GUARD),
    ("secret_store/api", ROUTE),
    ("secret_store/mount", SETTING),
    ("secret_store/configuration", SETTING),
    ("secret_store/data", SETTING),
    ("release/branch|required_check", SETTING),
    ("release/architectures/*", GUARD),
    // Without it, the limit of all requests counts.
    ("operations/*", GUARD),
    ("operations/*/method|path", SETTING),
    ("operations/*/purpose", FREE),
    ("operations/*/body_limit_bytes", Bound),
    // People
    ("access/*", GRANT),
    ("access/*/id", OTHER),
    ("access/*/who", FREE),
    ("access/*/editor", Towards(&["none", "development"], NewPermission)),
    ("access/*/secrets/*", GRANT),
    ("access/*/dashboards", Towards(&["none", "viewer", "editor", "admin"], NewPermission)),
    ("access/*/approves/*", GRANT),
    ("access/*/login", Towards(&["false", "true"], NewPermission)),
    ("access/*/commands/*", GRANT),
    // Whom operators believe.
    ("release/public_keys/*", GRANT),
    // Policies
    ("llm/**", SETTING),
    ("queue|containers|draining|edge|smoke", SETTING),
    ("queue/task|dead_letter|smoke_prefix", SETTING),
    ("queue/retry_limit", AtMost),
    ("queue/retry_delay_seconds|retry_delay_max_seconds", AtLeast),
    ("queue/retry_backoff", Towards(&["true", "false"], LoosensLimit)),
    ("queue/park_max_seconds|park_within_seconds", AtMost),
    ("queue/expire_seconds|heartbeat_seconds|monitor_seconds|control_poll_ms", Bound),
    ("queue/retention_seconds|delete_after_seconds", AtLeast),
    ("queue/poll_ms", FREE),
    ("queue/in_flight|in_flight_characters|concurrency", Bound),
    ("containers/root|secrets|probe|check|network_prefix|production|development", SETTING),
    ("containers/node", SETTING),
    ("containers/node/pinned|built|pending", SETTING),
    ("containers/node/pinned/reference", Image),
    ("containers/node/pinned/digest", PinOf("reference")),
    ("containers/node/built/dockerfile|target", SETTING),
    ("containers/node/pending/reason", FREE),
    ("containers/limits/*", GUARD),
    ("containers/limits/*/target", SETTING),
    ("containers/limits/*/mebibytes", Bound),
    ("containers/limits/*/tools/*", EXCUSE),
    ("containers/strictest", SETTING),
    ("containers/strictest/target", SETTING),
    ("containers/strictest/mebibytes", Bound),
    ("containers/strictest/tools/*", EXCUSE),
    ("containers/restart_attempts", Bound),
    ("containers/check/every_seconds|limit_seconds|failures", Bound),
    ("containers/check/start_seconds", AtMost),
    ("containers/log_file_mib|log_files", Bound),
    // Like a service's time to stop.
    ("draining/limit_seconds|development_limit_seconds", SETTING),
    ("draining/delay_ms", AtLeast),
    ("edge/http|https|path", ROUTE),
    ("edge/certificate|folder", SETTING),
    ("edge/workflows|tasks", SETTING),
    ("edge/max_connections|max_streams|max_requests_of_address|body_limit_bytes", Bound),
    ("edge/max_connections_of_address|max_new_connections_of_address|max_headers|head_limit_bytes", Bound),
    ("edge/head_limit_seconds|tunnel_limit_seconds|answer_limit_seconds|body_limit_seconds", Bound),
    // Who is not counted is not limited.
    ("edge/max_addresses", AtLeast),
    ("edge/check_every_ms|check_failures", Bound),
    // The same number of requests in less time is more.
    ("edge/check_successes|strict_transport_seconds|rate_seconds", AtLeast),
    // What is checked
    ("smoke/checks/*", GUARD),
    ("smoke/checks/*/name", SETTING),
    ("smoke/checks/*/purpose|detail", FREE),
    ("smoke/checks/*/relies_on/*", GUARD),
    ("smoke/checks/*/steps/*/ask-model/tokens|retries", AtMost),
    ("smoke/checks/*/steps/*/ask-model|call-tool/limit_ms", Bound),
    ("smoke/checks/*/steps/*/query|ask-model|send-and-take-job|set-payload/title", FREE),
    ("smoke/checks/*/steps/*/route|call-tool|task-through-api/title", FREE),
    ("smoke/checks/*/steps/**", SETTING),
    ("smoke/checks/*/expects/*", GUARD),
    ("smoke/checks/*/expects/**", SETTING),
    ("smoke/check_limit_ms|run_limit_ms", Bound),
    ("gates/*", GUARD),
    ("gates/*/id|group", SETTING),
    ("gates/*/checks|remedy", FREE),
    ("gates/*/commands/*", GUARD),
    // Other arguments may make a gate look less closely.
    ("gates/*/commands/*/program|folder", SETTING),
    ("gates/*/commands/*/arguments|calls|proof/**", SETTING),
    ("gates/*/commands/*/evidence", Towards(&["cargo-tests", "node-tests", "exit-code"], LoosensLimit)),
    ("gates/*/commands/*/sarif", FREE),
    ("gates/*/commands/*/sarif/file", FREE),
    ("gates/*/commands/*/sarif/instead/*", FREE),
    ("gates/*/after/*", FREE),
    ("gates/*/requires/*", EXCUSE),
    // What a gate does not read does not make it run again.
    ("gates/*/reads", Towards(&["world", "history", "files"], LoosensLimit)),
    ("gates/*/reads/files/*", GUARD),
    ("gates/*/negative_control", SETTING),
    ("gates/*/limit_seconds", Bound),
    ("review", GUARD),
    ("review/label", GUARD),
    ("review/asked_for/*", GUARD),
    // Workflows
    ("workflows/*", GUARD),
    ("workflows/*/id", SETTING),
    ("workflows/*/triggers/*", REACH),
    ("workflows/*/jobs/*", GUARD),
    ("workflows/*/jobs/*/id", SETTING),
    ("workflows/*/jobs/*/needs/*", GUARD),
    ("workflows/*/jobs/*/permissions/*", GRANT),
    ("workflows/*/jobs/*/permissions/*/scope", GRANT),
    ("workflows/*/jobs/*/permissions/*/access", Towards(&["read", "write"], NewPermission)),
    ("workflows/*/jobs/*/permissions/*/why", FREE),
    // Who must agree, and what is held to the rules of publishing.
    ("workflows/*/jobs/*/environment", GUARD),
    ("workflows/*/jobs/*/environment/name", SETTING),
    ("workflows/*/jobs/*/environment/reviewers", Towards(&["required", "nobody"], LoosensLimit)),
    ("workflows/*/jobs/*/publishes", Towards(&["true", "false"], LoosensLimit)),
    // An action sees the token of the job that uses it.
    ("workflows/*/jobs/*/secrets|actions/*", GRANT),
    ("actions/*", GRANT),
    ("actions/*/name", GRANT),
    ("actions/*/version", FREE),
    ("actions/*/commit", PinOf("version")),
];
