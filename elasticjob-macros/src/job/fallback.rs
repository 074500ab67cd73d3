//! What is generated beside an item with faults: as much as keeps code that names the job from failing, too.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use super::expand::job_type;
use super::item::Item;
use super::model::Settings;

pub(crate) fn declaration(item: &Item, settings: &Settings) -> TokenStream {
    let (job_type, job) = match item {
        // A method: no type can stand beside it.
        Item::Function(function) if function.has_receiver() => return TokenStream::new(),
        Item::Function(function) => (job_type(function), function.signature.ident.to_token_stream()),
        Item::Implementation(implementation) if !implementation.generics.params.is_empty() => {
            return TokenStream::new();
        }
        Item::Implementation(implementation) => (TokenStream::new(), implementation.job_type.to_token_stream()),
    };
    let cfgs = item.cfgs();
    let krate = settings.krate();
    quote! {
        #job_type
        #(#cfgs)*
        impl #krate::__private::Job for #job {
            const DECLARATION: &'static #krate::__private::Declaration = &#krate::__private::INVALID;
        }
    }
}
