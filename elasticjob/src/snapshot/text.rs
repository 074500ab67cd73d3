//! The text of a dump.

use std::collections::HashMap;

use crate::operation::dumped_node;

/// Returns the answer: a line for each node of a job, and a line end.
pub(super) fn answer(job: &str, nodes: &[(String, Vec<u8>)]) -> String {
    let mut addresses = Addresses::default();
    let lines = nodes
        .iter()
        .map(|(path, data)| addresses.mask(&dumped_node(job, path, &String::from_utf8_lossy(data))));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// The addresses seen so far, numbered as they came.
#[derive(Debug, Default)]
struct Addresses(HashMap<String, usize>);

impl Addresses {
    /// The line with each IPv4 address replaced by its number.
    fn mask(&mut self, line: &str) -> String {
        let mut masked = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            masked.push_str(&rest[..start]);
            rest = &rest[start..];
            let length = address(rest).unwrap_or(0);
            if length > 0 {
                let next = self.0.len() + 1;
                let number = *self.0.entry(rest[..length].to_owned()).or_insert(next);
                masked.push_str(&format!("ip{number}"));
                rest = &rest[length..];
            } else {
                let digits = digits(rest);
                masked.push_str(&rest[..digits]);
                rest = &rest[digits..];
            }
        }
        masked + rest
    }
}

/// The length of the address that a text begins with: four numbers from 0 to 255 without leading zeros. The digits of a
/// number are all that are there, so that no address is found in a longer one.
fn address(text: &str) -> Option<usize> {
    let mut length = 0;
    for group in 0..4 {
        if group > 0 {
            text[length..].strip_prefix('.')?;
            length += 1;
        }
        let digits = digits(&text[length..]);
        let number = &text[length..length + digits];
        let is_canonical = number == "0" || !number.starts_with('0');
        number.parse::<u8>().ok().filter(|_| is_canonical)?;
        length += digits;
    }
    Some(length)
}

/// How many digits a text begins with.
fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(path: &str, data: &str) -> (String, Vec<u8>) {
        (path.to_owned(), data.as_bytes().to_vec())
    }

    #[test]
    fn a_dump_should_be_what_java_writes() {
        let nodes = [
            node("/demoJob/sharding", ""),
            node("/demoJob/sharding/0", ""),
            node("/demoJob/sharding/0/instance", "192.0.2.7@-@22855"),
            node("/demoJob/servers", ""),
            node("/demoJob/servers/192.0.2.7", "ENABLED"),
            node(
                "/demoJob/instances/192.0.2.7@-@22855",
                "jobInstanceId: 192.0.2.7@-@22855\nserverIp: 192.0.2.7\n",
            ),
            node("/demoJob/config", "cron: 0/3 * * * * ?\n"),
        ];
        let expected = "/demoJob/sharding | \n/demoJob/sharding/0 | \n/demoJob/sharding/0/instance | ip1@-@22855\n\
            /demoJob/servers | \n/demoJob/servers/ip1 | ENABLED\n\
            /demoJob/instances/ip1@-@22855 | jobInstanceId: ip1@-@22855\nserverIp: ip1\n\n\
            /demoJob/config | cron: 0/3 * * * * ?\n\n";
        assert_eq!(answer("demoJob", &nodes), expected);
    }

    #[test]
    fn an_unknown_job_should_be_one_line_end() {
        assert_eq!(answer("demoJob", &[]), "\n");
    }

    mod secrets {
        use super::*;

        const CONFIG: &str =
            "cron: 0/3 * * * * ?\njobParameter: --token tiger\nprops:\n  mail.password: tiger\n  size: 1\n";
        const LEDGER: &str = r#"{"cause":"cannot ask https://lion:tiger@192.0.2.7/"}"#;
        const EXPECTED: &str = "/demoJob/config | cron: 0/3 * * * * ?\njobParameter: \"--token [provided]\"\nprops:\n  \
            \"mail.password\": \"[provided]\"\n  \"size\": 1\n\n\
            /demoJob/ledger/items/0 | {\"cause\":\"cannot ask https://[provided]@ip1/\"}\n";

        #[test]
        fn are_in_no_answer() {
            let nodes = [node("/demoJob/config", CONFIG), node("/demoJob/ledger/items/0", LEDGER)];
            assert_eq!(answer("demoJob", &nodes), EXPECTED);
        }
    }

    #[test]
    fn distinguishes_an_address_from_its_prefix() {
        let mut addresses = Addresses::default();
        assert_eq!(addresses.mask("10.0.0.1, 10.0.0.12 and 10.0.0.1"), "ip1, ip2 and ip1");
        assert_eq!(addresses.mask("10.0.0.12:2181,110.0.0.1"), "ip2:2181,ip3");
    }

    #[test]
    fn what_is_no_address_should_stay() {
        let mut addresses = Addresses::default();
        for text in [
            "",
            "1.2.3",
            "256.1.1.1",
            "1.2.3.04",
            "1..2.3.4.",
            "3.0.x",
            "é1.2.é",
            "12345678901234567890",
        ] {
            assert_eq!(addresses.mask(text), text);
        }
        assert_eq!(addresses.mask("v1.2.3.4-5"), "vip1-5");
    }
}
