//! Java's `String.hashCode`, so that strategies which go by the name of a job give the same answer as Java members.

/// The hash that Java gives a text: `31 * hash + unit` over its UTF-16 units, in 32 bits with a sign.
pub(super) fn java_hash(text: &str) -> i32 {
    text.encode_utf16()
        .fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: i32) {
        assert_eq!(java_hash(text), expect, "{text:?}");
    }

    #[test]
    fn the_hash_should_be_java_s() {
        check("", 0);
        check("a", 97);
        check("demoJob", 1_551_644_378);
        check("test_job", -1_146_456_432);
        check("polygenelubricants", i32::MIN);
        check("订单任务", 1_086_058_041);
    }

    #[test]
    fn counts_a_wide_character_as_two_units() {
        check("😀job", 1_276_931_962);
    }
}
