//! W3C trace context: one header, in both directions.

use tonic::metadata::MetadataMap;

/// The header, in requests and in the service's responses.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// The trace id, 32 hexadecimal digits, that the service named in a response's metadata.
pub fn trace_id(metadata: &MetadataMap) -> Option<String> {
    let traceparent = metadata.get(TRACEPARENT)?.to_str().ok()?;
    is_traceparent(traceparent).then(|| traceparent[3..35].to_owned())
}

/// Whether the text is a trace context of version 00.
pub(crate) fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, digits: usize| {
        part.len() == digits
            && part
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let not_zero = |part: &str| part.bytes().any(|byte| byte != b'0');
    match text.split('-').collect::<Vec<_>>()[..] {
        ["00", trace, span, flags] => {
            hex(trace, 32) && not_zero(trace) && hex(span, 16) && not_zero(span) && hex(flags, 2)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_the_exact_form_is_a_traceparent() {
        assert!(is_traceparent(GOOD));
        for bad in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &GOOD[..54],
            &format!("{GOOD}-00"),
            &GOOD.replacen("00-", "01-", 1),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            "00-€bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }

    #[test]
    fn the_trace_id_is_read_from_the_metadata() {
        let mut metadata = MetadataMap::new();
        assert_eq!(trace_id(&metadata), None);
        metadata.insert(TRACEPARENT, GOOD.parse().unwrap());
        assert_eq!(
            trace_id(&metadata).as_deref(),
            Some("4bf92f3577b34da6a3ce929d0e0e4736")
        );
    }
}
