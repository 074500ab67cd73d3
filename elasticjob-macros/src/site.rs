//! Where an attribute stands, as declarations say it at run time.

use proc_macro2::TokenStream;
use quote::quote;

/// Returns the expression for the site of the item that is expanded, where `__elasticjob` is the framework.
pub(crate) fn expression() -> TokenStream {
    quote! {
        __elasticjob::Site {
            module: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            is_test_build: ::core::cfg!(test),
            is_test_target: ::core::option_env!("CARGO_TARGET_TMPDIR").is_some(),
        }
    }
}
