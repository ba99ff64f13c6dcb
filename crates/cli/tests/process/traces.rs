//! What exported spans say of a call.

use gavah_client::Client;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::receiver::Receiver;
use crate::site::{Engine, Serving, Site, callers};
use crate::students::{Student, issue_certificate, issue_code, push_records, validate};

/// A trace context as a caller sends it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    trace_id: u128,
    span_id: u64,
}

impl Sent {
    /// The `number`-th of a test, sampled.
    pub(crate) fn new(number: u64) -> Self {
        Self {
            trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_0000 + u128::from(number),
            span_id: 0x00f0_67aa_0ba9_0000 + number,
        }
    }

    /// The header.
    pub(crate) fn traceparent(self) -> String {
        format!("00-{:032x}-{:016x}-01", self.trace_id, self.span_id)
    }

    /// Whether an answer's header names the same trace and a span of the service.
    pub(crate) fn is_answered_by(self, traceparent: &str) -> bool {
        let parts: Vec<_> = traceparent.split('-').collect();
        let (trace_id, span_id) = (
            format!("{:032x}", self.trace_id),
            format!("{:016x}", self.span_id),
        );
        matches!(parts[..], ["00", trace, span, "01"] if trace == trace_id && span != span_id)
    }

    /// A client whose calls go under it.
    async fn client(self, serving: &Serving, caller: &str) -> Client {
        serving
            .client(caller)
            .await
            .traced(&self.traceparent())
            .unwrap()
    }

    /// The names from the server's span down to the deepest span below it: one span tree, its root a child of the
    /// caller's span, every other span a child of one in the tree.
    pub(crate) fn path(self, spans: &[Span]) -> Vec<String> {
        let trace_id = self.trace_id.to_be_bytes();
        let spans: Vec<_> = spans
            .iter()
            .filter(|span| span.trace_id == trace_id)
            .collect();
        let of_caller = self.span_id.to_be_bytes();
        let roots: Vec<_> = spans
            .iter()
            .filter(|span| span.parent_span_id == of_caller)
            .collect();
        let [root] = roots[..] else {
            panic!("the call has {} server spans", roots.len())
        };
        assert_eq!(root.kind(), SpanKind::Server);
        for span in &spans {
            let has_parent = spans
                .iter()
                .any(|other| other.span_id == span.parent_span_id);
            let is_root = span.span_id == root.span_id;
            assert!(is_root != has_parent, "{} hangs in the air", span.name);
            assert!(
                root.start_time_unix_nano <= span.start_time_unix_nano,
                "{}",
                span.name
            );
            assert!(
                span.end_time_unix_nano <= root.end_time_unix_nano,
                "{}",
                span.name
            );
        }
        deepest(root, &spans)
    }

    /// The names of all its spans.
    fn names(self, spans: &[Span]) -> Vec<&str> {
        let trace_id = self.trace_id.to_be_bytes();
        let spans = spans.iter().filter(|span| span.trace_id == trace_id);
        spans.map(|span| span.name.as_str()).collect()
    }
}

fn deepest(span: &Span, spans: &[&Span]) -> Vec<String> {
    let children = spans
        .iter()
        .filter(|other| other.parent_span_id == span.span_id);
    let below = children
        .map(|child| deepest(child, spans))
        .max_by_key(Vec::len);
    [vec![span.name.clone()], below.unwrap_or_default()].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_transaction_of_a_call_hangs_in_the_callers_trace() {
    let receiver = Receiver::start().await;
    let site = Site::new(Engine::Sqlite, &receiver.section("info")).await;
    let mut serving = site.serve().await;
    let student = Student::new();
    let sent: Vec<_> = (11..=14).map(Sent::new).collect();
    let university = sent[0].client(&serving, callers::UNIVERSITY).await;
    push_records(&university, std::slice::from_ref(&student)).await;
    let university = sent[1].client(&serving, callers::UNIVERSITY).await;
    let code = issue_code(&university, student.code_request())
        .await
        .unwrap();
    let window = sent[2].client(&serving, callers::WINDOW).await;
    issue_certificate(&window, student.certificate_request())
        .await
        .unwrap();
    let hub = sent[3].client(&serving, callers::HUB).await;
    validate(&hub, &[code.code]).await;
    // The last spans go out when the process ends.
    serving.stop().await;

    let spans = receiver.spans();
    for (sent, method, transactions) in [
        (
            sent[0],
            "EnrollmentRecordService/BatchUpsertEnrollmentRecords",
            &["upsert_records"][..],
        ),
        (
            sent[1],
            "ValidityCodeService/IssueValidityCode",
            &["issue_code"],
        ),
        (
            sent[2],
            "EnrollmentCertificateService/CreateEnrollmentCertificateApplication",
            &["record_intent", "finish_certificate"],
        ),
        (sent[3], "ValidationService/BatchValidateCodes", &[]),
    ] {
        let path = sent.path(&spans);
        assert_eq!(path[0], format!("gavah.v1.{method}"));
        assert!(path.len() > 1, "{path:?}");
        let names = sent.names(&spans);
        for transaction in transactions {
            assert!(
                names.contains(transaction),
                "{transaction} is not in {names:?}"
            );
        }
    }
}
