//! The sharding context as JSON, byte for byte as Java members hand it to scripts and services.

use std::fmt::Write as _;

use crate::job::ShardingContext;

/// Six members in a fixed order; a parameter that the item does not have is left out.
pub(super) fn context_json(run: &ShardingContext) -> String {
    let mut json = String::with_capacity(256);
    json.push_str("{\"jobName\":");
    push_text(&mut json, run.job_name());
    json.push_str(",\"taskId\":");
    push_text(&mut json, run.task_id());
    push_number(&mut json, ",\"shardingTotalCount\":", run.sharding_total_count());
    json.push_str(",\"jobParameter\":");
    push_text(&mut json, run.job_parameter());
    push_number(&mut json, ",\"shardingItem\":", run.sharding_item());
    if let Some(parameter) = run.sharding_parameter() {
        json.push_str(",\"shardingParameter\":");
        push_text(&mut json, parameter);
    }
    json.push('}');
    json
}

fn push_number(json: &mut String, before: &str, number: u32) {
    write!(json, "{before}{number}").expect("a String takes everything");
}

/// Escapes what HTML or JavaScript would read differently, too, as Gson does by default.
fn push_text(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\u{c}' => json.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '=' | '\'' | '\u{2028}' | '\u{2029}' => {
                write!(json, "\\u{:04x}", u32::from(character)).expect("a String takes everything");
            }
            _ => json.push(character),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_should_be_that_of_java() {
        let run = ShardingContext::for_test(0, 3)
            .with_job_name("demo")
            .with_job_parameter("p=1");
        let common = r#"{"jobName":"demo","taskId":"test@-@0@-@READY@-@127.0.0.1@-@0","shardingTotalCount":3,"jobParameter":"p\u003d1","shardingItem":0"#;
        assert_eq!(context_json(&run), format!("{common}}}"));
        let run = run.with_sharding_parameter("A 'x'");
        assert_eq!(
            context_json(&run),
            format!(r#"{common},"shardingParameter":"A \u0027x\u0027"}}"#)
        );
    }

    #[test]
    fn every_text_should_come_back_from_its_json() {
        let odd = "\"\\\t\u{8}\n\r\u{c}\0\u{1f}<>&='\u{2028}\u{2029}\u{7f}größe 😀/";
        let json = context_json(&ShardingContext::for_test(1, 2).with_sharding_parameter(odd));
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["shardingParameter"], odd);
        assert!(
            json.contains(r#""\"\\\t\b\n\r\f\u0000\u001f\u003c\u003e\u0026\u003d\u0027\u2028\u2029"#),
            "{json}"
        );
        assert!(json.contains("größe 😀/"), "{json}");
    }
}
