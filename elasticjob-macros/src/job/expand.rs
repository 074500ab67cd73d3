//! What is generated beside the item.
//!
//! The item itself stays as it was written. Tokens that the compiler may complain about have the span of the user's
//! token that they come from, so that the error is marked there and not at the attribute.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use super::item::{Function, Implementation, Item};
use super::key;
use super::model::Settings;
use super::validate::Declared;
use crate::site;

/// The declaration of a job without faults.
pub(crate) fn declaration(item: &Item, settings: &Settings, declared: &Declared) -> TokenStream {
    match item {
        Item::Function(function) => {
            let job_type = job_type(function);
            let job = &function.signature.ident;
            let parts = function_parts(function);
            let submitted = submitted(item, quote!(#job), &function.name(), &parts, settings, declared);
            quote!(#job_type #submitted)
        }
        Item::Implementation(implementation) => {
            let job = &implementation.job_type;
            let name = implementation.name().unwrap_or_default();
            let parts = implementation_parts(implementation, settings);
            submitted(item, quote!(#job), &name, &parts, settings, declared)
        }
    }
}

/// The type that stands for a function. It has the function's name, and no values.
pub(crate) fn job_type(function: &Function) -> TokenStream {
    let Function {
        cfgs,
        visibility,
        signature,
    } = function;
    let name = &signature.ident;
    quote! {
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(dead_code, non_camel_case_types, unreachable_pub, clippy::empty_enums)]
        #visibility enum #name {}
    }
}

/// What differs between functions and types.
struct Parts {
    /// Defines `__elasticjob_check` and `__elasticjob_build`.
    functions: TokenStream,
    kind: TokenStream,
}

/// Generates the parts of a function: each parameter is extracted from the run, and an ordinary function is run as
/// blocking work.
fn function_parts(function: &Function) -> Parts {
    let name = &function.signature.ident;
    let parameters: Vec<_> = function.parameters().collect();
    let values: Vec<_> = (0..parameters.len())
        .map(|index| format_ident!("__elasticjob_{index}"))
        .collect();
    let extract = parameters.iter().zip(&values).map(|(parameter, value)| {
        let extractor = parameter.extractor;
        quote!(let #value = <#extractor as __elasticjob::FromRun>::from_run(&__elasticjob_run)?;)
    });
    let arguments = parameters.iter().zip(&values).map(|(parameter, value)| {
        let reference = parameter.by_reference.then(|| quote!(&));
        quote!(#reference #value)
    });
    // The parentheses, too, so that what is wrong with the returned future is marked at the name alone.
    let call = quote_spanned!(name.span()=> #name(#(#arguments),*));
    let returned = function.returned();
    let into_outcome = quote!(<#returned as __elasticjob::IntoOutcome>::into_outcome);
    let run = if function.signature.asyncness.is_some() {
        let boxed = quote_spanned!(name.span()=> __elasticjob::boxed(#call));
        quote!(#into_outcome(#boxed.await))
    } else {
        quote!(__elasticjob::blocking(&__elasticjob_run, move || #into_outcome(#call)).await)
    };
    let checks = parameters.iter().map(|parameter| {
        let (extractor, name) = (parameter.extractor, &parameter.name);
        quote! {
            __elasticjob_start.parameter(
                #name,
                ::core::any::type_name::<#extractor>(),
                <#extractor as __elasticjob::FromRun>::check,
            );
        }
    });
    let takes = parameters.iter().enumerate().map(|(index, parameter)| {
        let extractor = parameter.extractor;
        quote! {
            impl<T> __elasticjob::TakesParameter<T, __elasticjob::Argument<#index>> for #name
            where
                #extractor: __elasticjob::ParameterAs<T>,
            {
            }
        }
    });
    let functions = quote! {
        #(#takes)*

        fn __elasticjob_call(
            __elasticjob_run: __elasticjob::RunContext,
        ) -> __elasticjob::BoxFuture<'static, __elasticjob::Outcome> {
            ::std::boxed::Box::pin(async move {
                #(#extract)*
                #run
            })
        }

        fn __elasticjob_check(__elasticjob_start: &mut __elasticjob::Start<'_>) {
            #(#checks)*
        }

        fn __elasticjob_build(
            _: &__elasticjob::Components,
        ) -> ::core::result::Result<::std::boxed::Box<dyn __elasticjob::ErasedJob>, __elasticjob::MissingComponent> {
            ::core::result::Result::Ok(__elasticjob::function(__elasticjob_call))
        }
    };
    Parts {
        functions,
        kind: quote!(__elasticjob::Kind::Simple),
    }
}

/// Generates the parts of a type: its fields are taken from the components. Which job trait it is, the compiler finds
/// out.
fn implementation_parts(implementation: &Implementation, settings: &Settings) -> Parts {
    let Implementation {
        job_trait, job_type, ..
    } = implementation;
    // The one place that a trait which is no job trait fails at.
    let of_trait = quote_spanned!(implementation.trait_span()=> <#job_type as #job_trait>::__ELASTIC_JOB_TRAIT);
    let streams = settings.flag(key::STREAMING).filter(|(on, _)| *on).map(|(_, setting)| {
        // Which trait it is, only the compiler knows.
        let message = "jobs of this trait do not stream: implement `DataflowJob`";
        let span = setting.written.span();
        quote_spanned!(span=> const _: () = ::core::assert!(__ELASTICJOB_TRAIT.streams(), #message);)
    });
    let functions = quote! {
        fn __elasticjob_check(__elasticjob_start: &mut __elasticjob::Start<'_>) {
            <#job_type as __elasticjob::Inject>::check(__elasticjob_start);
        }

        fn __elasticjob_build(
            __elasticjob_components: &__elasticjob::Components,
        ) -> ::core::result::Result<::std::boxed::Box<dyn __elasticjob::ErasedJob>, __elasticjob::MissingComponent> {
            let job = <#job_type as __elasticjob::Inject>::inject(__elasticjob_components)?;
            ::core::result::Result::Ok(__ELASTICJOB_TRAIT.erase(job))
        }

        const __ELASTICJOB_TRAIT: __elasticjob::JobTrait<#job_type> = #of_trait;

        #streams
    };
    Parts {
        functions,
        kind: quote!(__ELASTICJOB_TRAIT.kind()),
    }
}

/// Generates the declaration, and hands it to the registry of the program.
fn submitted(
    item: &Item,
    job: TokenStream,
    own_name: &str,
    parts: &Parts,
    settings: &Settings,
    declared: &Declared,
) -> TokenStream {
    let cfgs = item.cfgs();
    let krate = settings.krate();
    let name = settings.text(key::NAME).map_or(own_name, |(name, _)| name);
    let Parts { functions, kind } = parts;
    let site = site::expression();
    let Declared { values, one_off } = declared;
    let values = values.iter().map(|(key, value)| quote!((#key, #value)));
    let listeners = settings.listeners().iter().map(|listener| {
        let span = listener
            .segments
            .last()
            .map_or_else(Span::call_site, |last| last.ident.span());
        quote_spanned!(span=> <#listener as __elasticjob::DeclaredListener>::NAME)
    });
    quote! {
        #(#cfgs)*
        #[allow(deprecated, unused_qualifications)]
        const _: () = {
            use #krate::__private as __elasticjob;

            #functions

            static __ELASTICJOB_DECLARATION: __elasticjob::Declaration =
                __elasticjob::Declaration::new(__elasticjob::DeclarationParts {
                    name: #name,
                    path: ::core::concat!(::core::module_path!(), "::", #own_name),
                    site: #site,
                    kind: #kind,
                    values: &[#(#values),*],
                    listeners: &[#(#listeners),*],
                    one_off: #one_off,
                    check: __elasticjob_check,
                    build: __elasticjob_build,
                });

            impl __elasticjob::Job for #job {
                const DECLARATION: &'static __elasticjob::Declaration = &__ELASTICJOB_DECLARATION;
            }

            __elasticjob::inventory::submit! { &__ELASTICJOB_DECLARATION }
        };
    }
}
