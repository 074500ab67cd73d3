//! `#[elastic_job(..)]`.
//!
//! An expansion has four steps: the arguments are read by themselves, turned into settings, judged together, and the
//! item is looked at. No step stops at a fault, so that one build shows all of them. The item is always put out and, where
//! there can be one, something that stands for its declaration: an error in the attribute must not bring errors wherever the
//! job is named.

use proc_macro2::TokenStream;
use quote::quote;

use crate::faults::Faults;

pub(crate) mod attribute;
mod expand;
mod fallback;
mod item;
mod key;
mod model;
mod place;
mod validate;

use self::item::Item;
use self::model::Settings;

/// Expands the attribute.
pub(crate) fn expand(arguments: TokenStream, original: TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let arguments = attribute::parse(arguments, &mut faults);
    let settings = Settings::read(arguments, &mut faults);
    let declared = validate::settings(&settings, &mut faults);
    let item = Item::parse(original.clone(), &mut faults);
    if let Some(item) = &item {
        place::check(item, &settings, &mut faults);
    }
    let beside = match &item {
        Some(item) if faults.is_empty() => expand::declaration(item, &settings, &declared),
        Some(item) => fallback::declaration(item, &settings),
        None => TokenStream::new(),
    };
    let errors = faults.into_compile_errors();
    quote!(#original #errors #beside)
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenTree;

    use super::*;

    fn arguments() -> TokenStream {
        quote! {
            cron = "0/5 * * * * ?", sharding = 3, item_parameters = "0=A,2=C", failover, misfire = false,
            max_time_diff_seconds = -1, job_listener_types = ["A", "B"], props("a.b" = "c", d = 1.5), crate = a::b
        }
    }

    fn function() -> TokenStream {
        quote! {
            /// Documented.
            #[cfg(unix)]
            pub(crate) async fn sync_orders(shard: &ShardingContext, Own(own): Own) -> Result<(), Error> { body }
        }
    }

    fn implementation() -> TokenStream {
        quote!(impl some::SimpleJob for Settle<u8> where { body })
    }

    fn prefixes(tokens: TokenStream) -> impl Iterator<Item = TokenStream> {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        (0..=tokens.len()).map(move |end| tokens[..end].iter().cloned().collect())
    }

    fn has_errors(expanded: &str) -> bool {
        expanded.contains("compile_error")
    }

    #[test]
    fn a_job_is_submitted_beside_its_item() {
        for item in [function(), implementation()] {
            let expanded = expand(arguments(), item.clone()).to_string();
            assert!(!has_errors(&expanded), "{expanded}");
            assert!(expanded.starts_with(&item.to_string()), "{expanded}");
            assert!(
                expanded.contains("use a :: b :: __private as __elasticjob"),
                "{expanded}"
            );
            assert!(expanded.contains("submit !"), "{expanded}");
        }
    }

    #[test]
    fn the_compiler_decides_whether_a_trait_streams() {
        let asserts = |arguments| {
            expand(arguments, implementation())
                .to_string()
                .matches("assert !")
                .count()
        };
        assert_eq!(asserts(quote!(streaming)), 1);
        assert_eq!(asserts(quote!(streaming = false)), 0);
        assert_eq!(asserts(quote!()), 0);
    }

    #[test]
    fn generates_conditional_code_for_a_conditional_item() {
        let expanded = expand(TokenStream::new(), function()).to_string();
        assert_eq!(expanded.matches("# [cfg (unix)]").count(), 3, "{expanded}");
    }

    #[test]
    fn half_typed_arguments_leave_the_item_and_the_job() {
        for arguments in prefixes(arguments()) {
            let shown = arguments.to_string();
            let expanded = expand(arguments, function()).to_string();
            assert!(expanded.starts_with(&function().to_string()), "{shown}: {expanded}");
            assert!(expanded.contains("enum sync_orders"), "{shown}: {expanded}");
            assert!(
                expanded.contains("__private :: Job for sync_orders") != expanded.contains("submit !"),
                "{shown}"
            );
            assert_eq!(
                has_errors(&expanded),
                !expanded.contains("submit !"),
                "{shown}: {expanded}"
            );
        }
    }

    #[test]
    fn a_half_typed_item_is_left_as_it_is() {
        for item in prefixes(function()).chain(prefixes(implementation())) {
            let expanded = expand(arguments(), item.clone()).to_string();
            assert!(expanded.starts_with(&item.to_string()), "{expanded}");
        }
    }

    #[test]
    fn a_fault_hides_no_other() {
        let arguments = quote!(cron = "70 * 25 * * ?", sharding 3, shading = 1, failover = 1, failover);
        let expanded = expand(
            arguments,
            quote!(
                unsafe fn job<T>() {}
            ),
        )
        .to_string();
        assert_eq!(expanded.matches("compile_error").count(), 7, "{expanded}");
    }
}
