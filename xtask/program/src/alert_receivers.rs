//! What alerts are delivered to in the fire drill, on loopback: PagerDuty's Events API v2, a Slack webhook, a mail server
//! and a dead man's switch. They speak the real protocols, keep what they got, and PagerDuty fails on demand. Acts.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use foundation::clock::now_ms;
use serde::Serialize;
use serde_json::{Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

/// PagerDuty's integration keys have 32 characters.
pub const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A body that is larger is none of Alertmanager's.
const LARGEST_BODY: u64 = 4 << 20;

/// Where a notification arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    PagerDuty,
    Slack,
    Mail,
    /// The dead man's switch.
    Heartbeat,
}

/// What one receiver was told of one alert.
#[derive(Debug, Clone, Serialize)]
pub struct Notification {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub channel: Channel,
    pub resolved: bool,
    pub alert: String,
    /// A mailbox or a Slack channel.
    pub to: String,
}

#[derive(Default)]
struct Received {
    notifications: Mutex<Vec<Notification>>,
    changed: Condvar,
    /// By the key under which PagerDuty joins events: those that are open, and how often somebody was woken for one.
    incidents: Mutex<(BTreeSet<String>, BTreeMap<String, usize>)>,
    /// Messages, pages and mails, with what each was titled.
    titles: Mutex<Vec<(Channel, String)>>,
    pagerduty_fails: AtomicBool,
    ended: AtomicBool,
}

/// The receivers; they end with this value.
pub struct Receivers {
    received: Arc<Received>,
    http: Arc<Server>,
    http_port: u16,
    smtp_port: u16,
    threads: Vec<JoinHandle<()>>,
}

impl Receivers {
    /// # Errors
    /// No port is free.
    pub fn start() -> Result<Self> {
        let received = Arc::new(Received::default());
        let http =
            Arc::new(Server::http((Ipv4Addr::LOCALHOST, 0)).map_err(|error| anyhow!("receivers: {error}"))?);
        let http_port = http.server_addr().to_ip().map(|address| address.port()).unwrap_or_default();
        let smtp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let smtp_port = smtp.local_addr()?.port();
        let (server, to) = (Arc::clone(&http), Arc::clone(&received));
        let web =
            std::thread::spawn(move || server.incoming_requests().for_each(|request| to.answer(request)));
        let to = Arc::clone(&received);
        let mail = std::thread::spawn(move || {
            for stream in smtp.incoming().map_while(Result::ok) {
                if to.ended.load(Ordering::SeqCst) {
                    return;
                }
                let to = Arc::clone(&to);
                // A client that goes away in the middle has sent no mail.
                std::thread::spawn(move || to.converse(&stream).unwrap_or_default());
            }
        });
        Ok(Self { received, http, http_port, smtp_port, threads: vec![web, mail] })
    }

    pub fn pagerduty_url(&self) -> String {
        format!("http://127.0.0.1:{}/v2/enqueue", self.http_port)
    }

    pub fn slack_url(&self) -> String {
        format!("http://127.0.0.1:{}/slack", self.http_port)
    }

    pub fn heartbeat_url(&self) -> String {
        format!("http://127.0.0.1:{}/heartbeat", self.http_port)
    }

    /// `host:port`
    pub fn smarthost(&self) -> String {
        format!("127.0.0.1:{}", self.smtp_port)
    }

    /// From now on PagerDuty answers 500, or works again.
    pub fn fail_pagerduty(&self, fails: bool) {
        self.received.pagerduty_fails.store(fails, Ordering::SeqCst);
    }

    /// Incidents that were opened and not resolved, by their key.
    pub fn open_incidents(&self) -> Vec<String> {
        self.received.incidents.lock().unwrap_or_else(PoisonError::into_inner).0.iter().cloned().collect()
    }

    /// How often somebody was woken: an incident was opened that was not open.
    pub fn pages(&self) -> usize {
        self.received.incidents.lock().unwrap_or_else(PoisonError::into_inner).1.values().sum()
    }

    /// The title of each message so far.
    pub fn titles(&self) -> Vec<(Channel, String)> {
        self.received.titles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything so far, in the order in which it arrived.
    pub fn notifications(&self) -> Vec<Notification> {
        self.received.notifications.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `enough` of what arrived, or `limit`; says whether it was enough.
    pub fn wait(&self, limit: Duration, enough: impl Fn(&[Notification]) -> bool) -> bool {
        let give_up = Instant::now() + limit;
        let mut all = self.received.notifications.lock().unwrap_or_else(PoisonError::into_inner);
        while !enough(&all) {
            let Some(left) = give_up.checked_duration_since(Instant::now()) else { return false };
            all = self.received.changed.wait_timeout(all, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        self.received.ended.store(true, Ordering::SeqCst);
        self.http.unblock();
        // Wakes the thread that waits for mail.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.smtp_port));
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Received {
    /// A message with a title, and a line for each alert: `FIRING NAME ...` or `RESOLVED NAME ...`.
    fn note(&self, channel: Channel, title: &str, text: &str, to: &str) {
        self.titles.lock().unwrap_or_else(PoisonError::into_inner).push((channel, title.to_owned()));
        let alert = |line: &str| {
            let mut words = line.split_whitespace();
            let resolved = match words.next()? {
                "FIRING" => false,
                "RESOLVED" => true,
                _ => return None,
            };
            let alert = words.next()?.to_owned();
            Some(Notification { at_ms: now_ms(), channel, resolved, alert, to: to.to_owned() })
        };
        let mut all = self.notifications.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(text.lines().filter_map(alert));
        self.changed.notify_all();
    }

    fn answer(&self, mut request: Request) {
        let mut body = String::new();
        let read = request.as_reader().take(LARGEST_BODY).read_to_string(&mut body);
        let value: Value = serde_json::from_str(&body).unwrap_or_default();
        let (status, answer) = match (request.method(), request.url(), read) {
            (_, _, Err(_)) => (400, json!({ "status": "invalid event" })),
            (Method::Post, "/v2/enqueue", _) => self.page(&value),
            (Method::Post, "/slack", _) => self.chat(&value),
            (Method::Post, "/heartbeat", _) => self.beat(&value),
            _ => (404, json!({ "status": "not found" })),
        };
        // Slack answers with a bare word; what is no JSON object would be sent again.
        let (kind, answer) = match answer {
            Value::String(word) => ("text/plain", word),
            answer => ("application/json", answer.to_string()),
        };
        let kind = Header::from_bytes("content-type", kind);
        let response = Response::from_string(answer).with_status_code(status);
        // A client that does not wait for its answer sends again.
        let _ = request.respond(kind.into_iter().fold(response, Response::with_header));
    }

    /// <https://developer.pagerduty.com/docs/send-alert-event>
    fn page(&self, event: &Value) -> (u16, Value) {
        if self.pagerduty_fails.load(Ordering::SeqCst) {
            return (500, json!({ "status": "error", "message": "Internal Server Error" }));
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (action, key) = (text(&event["event_action"]), text(&event["dedup_key"]));
        let summary = text(&event["payload"]["summary"]);
        let invalid = |why: &str| {
            (400, json!({ "status": "invalid event", "message": "Event object is invalid", "errors": [why] }))
        };
        if event["routing_key"].as_str() != Some(ROUTING_KEY) {
            return invalid("'routing_key' is invalid");
        }
        let mut incidents = self.incidents.lock().unwrap_or_else(PoisonError::into_inner);
        match action.as_str() {
            "trigger" if summary.is_empty() => return invalid("'payload.summary' is missing or blank"),
            "trigger" => {
                if incidents.0.insert(key.clone()) {
                    *incidents.1.entry(key.clone()).or_default() += 1;
                }
            }
            "resolve" => {
                incidents.0.remove(&key);
            }
            _ => return invalid("'event_action' is invalid"),
        }
        drop(incidents);
        let details = &event["payload"]["custom_details"];
        let line = |state: &str, alert: &Value| format!("{state} {}\n", text(&alert["labels"]["alertname"]));
        let lines = [("FIRING", "firing"), ("RESOLVED", "resolved")].into_iter().flat_map(|(state, list)| {
            details[list].as_array().into_iter().flatten().map(move |alert| line(state, alert))
        });
        self.note(Channel::PagerDuty, &summary, &lines.collect::<String>(), "");
        (202, json!({ "status": "success", "message": "Event processed", "dedup_key": key }))
    }

    /// <https://api.slack.com/messaging/webhooks>
    fn chat(&self, message: &Value) -> (u16, Value) {
        for attachment in message["attachments"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (title, body) = (text(&attachment["title"]), text(&attachment["text"]));
            self.note(Channel::Slack, &title, &body, &text(&message["channel"]));
        }
        (200, json!("ok"))
    }

    /// <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>
    fn beat(&self, message: &Value) -> (u16, Value) {
        for alert in message["alerts"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let line =
                format!("{} {}", text(&alert["status"]).to_uppercase(), text(&alert["labels"]["alertname"]));
            self.note(Channel::Heartbeat, &line, &line, "");
        }
        (200, json!({}))
    }

    /// As much of SMTP (RFC 5321) as a client that delivers mail needs.
    fn converse(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut lines = BufReader::new(stream.take(LARGEST_BODY)).lines();
        let say = |text: &str| (&mut &*stream).write_all(format!("{text}\r\n").as_bytes());
        let mut to = Vec::new();
        say("220 localhost ESMTP")?;
        while let Some(line) = lines.next().transpose()? {
            let command = line.to_ascii_uppercase();
            match command.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" => say("250-localhost\r\n250 AUTH PLAIN LOGIN")?,
                "HELO" | "MAIL" | "NOOP" => say("250 OK")?,
                "AUTH" => say("235 accepted")?,
                "RSET" => {
                    to.clear();
                    say("250 OK")?;
                }
                "RCPT" => {
                    to.push(line.split(['<', '>']).nth(1).unwrap_or_default().to_owned());
                    say("250 OK")?;
                }
                "DATA" => {
                    say("354 go on")?;
                    let mut mail = String::new();
                    for line in lines.by_ref() {
                        let line = line?;
                        if line == "." {
                            break;
                        }
                        mail.push_str(&line);
                        mail.push('\n');
                    }
                    // Quoted-printable breaks lines with a `=` at their end.
                    let mail = mail.replace("=\n", "");
                    let subject = mail.lines().find_map(|line| line.strip_prefix("Subject: "));
                    self.note(Channel::Mail, subject.unwrap_or_default(), &mail, &to.join(","));
                    say("250 OK")?;
                }
                "QUIT" => return say("221 bye"),
                _ => say("502 not implemented")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(url: &str, body: &Value) -> u16 {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        agent.post(url).send(body.to_string()).unwrap().status().as_u16()
    }

    fn event(action: &str, key: &str) -> Value {
        json!({ "routing_key": key, "event_action": action, "dedup_key": "k",
            "payload": { "summary": "PostgresDown", "source": "x", "severity": "critical",
                "custom_details": { "firing": [{ "labels": { "alertname": "PostgresDown" } }] } } })
    }

    #[test]
    fn pagerduty_opens_and_resolves_one_incident_and_fails_on_demand() {
        let receivers = Receivers::start().unwrap();
        let url = receivers.pagerduty_url();
        assert_eq!(post(&url, &event("trigger", "short")), 400);
        assert_eq!([(), ()].map(|()| post(&url, &event("trigger", ROUTING_KEY))), [202; 2]);
        assert_eq!((receivers.open_incidents(), receivers.pages()), (vec!["k".to_owned()], 1));
        receivers.fail_pagerduty(true);
        assert_eq!(post(&url, &event("resolve", ROUTING_KEY)), 500);
        receivers.fail_pagerduty(false);
        assert_eq!(post(&url, &event("resolve", ROUTING_KEY)), 202);
        assert_eq!(receivers.open_incidents(), [""; 0]);
        assert!(receivers.wait(Duration::ZERO, |all| all.iter().any(|one| one.alert == "PostgresDown")));
    }

    #[test]
    fn mail_is_taken_from_a_real_client() {
        let receivers = Receivers::start().unwrap();
        let mut stream = TcpStream::connect(receivers.smarthost()).unwrap();
        let said = "EHLO me\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nSubject: x\r\n\r\n\
                    RESOLVED DiskF=\r\null (x)\r\n.\r\nQUIT\r\n";
        stream.write_all(said.as_bytes()).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        assert!(answers.ends_with("221 bye\r\n"), "{answers}");
        let mail = &receivers.notifications()[0];
        assert_eq!(
            (mail.resolved, mail.alert.as_str(), mail.to.as_str()),
            (true, "DiskFull", "b@example.com")
        );
    }
}
