//! Attributes on `impl` blocks of traits that are open to everybody, such as `#[job_executor(..)]`.
//!
//! Each of them gives the implementation the name that configuration uses, and lets the framework find it at start.
//!
//! They differ in a few words, which are the constants below; reading, checking and generating is the same for all.
//! What is generated stands beside the implementation, in a constant without a name, so that it can be in any module or
//! function and adds no name to it.

use std::time::Duration;

use jiff::SignedDuration;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Generics, Lit, Path, Token, Type};

use crate::faults::{Faults, nearest};
use crate::job::attribute::{self, Argument, Value};
use crate::site;

/// One such trait.
pub(crate) struct Open {
    /// The attribute's name.
    pub(crate) attribute: &'static str,
    /// The trait's name.
    pub(crate) trait_name: &'static str,
    /// An example of a name.
    pub(crate) example: &'static str,
    /// What the catalogue holds, in the hidden module of generated code.
    pub(crate) erased: fn() -> TokenStream,
    /// Makes that of a value called `made`. Its tokens have the span of the trait's name, the one place that a trait
    /// which is another one fails at.
    pub(crate) convert: fn(Span, &Type) -> TokenStream,
    /// What this one has beyond the others.
    pub(crate) own: Option<Own>,
}

/// What an attribute has beyond a name, which is that of the type where none is given.
pub(crate) struct Own {
    /// Keys that take a duration. What `convert` gives has a method of each of these names, and is shared afterwards.
    pub(crate) durations: &'static [&'static str],
    /// Keys that take names of jobs, each with the variant of `TracedJobs` that it makes. One of them at most is given, and
    /// what `convert` gives has a method `jobs`.
    pub(crate) jobs: &'static [(&'static str, &'static str)],
    /// What else stands beside the implementation of this type, by this name.
    pub(crate) beside: fn(&Type, &str) -> TokenStream,
}

pub(crate) const JOB_EXECUTOR: Open = Open {
    attribute: "job_executor",
    trait_name: "JobExecutor",
    example: "SQL",
    erased: || quote!(dyn __elasticjob::AnyJobExecutor),
    convert: |span, implementor| quote_spanned!(span=> ::std::sync::Arc::<#implementor>::new(made)),
    own: None,
};

/// It stands on one of three traits.
pub(crate) const JOB_ERROR_HANDLER: Open = Open {
    attribute: "job_error_handler",
    trait_name: "JobErrorHandler",
    example: "PAGER",
    erased: || quote!(__elasticjob::ErrorHandlerKind),
    convert: |span, _| quote_spanned!(span=> ::std::sync::Arc::new(__elasticjob::error_handler_kind(made))),
    own: None,
};

/// It stands on one of two traits. Jobs name such a type by itself, too.
pub(crate) const JOB_LISTENER: Open = Open {
    attribute: "job_listener",
    trait_name: "JobListener",
    example: "AUDIT",
    erased: || quote!(__elasticjob::ListenerKind),
    convert: |span, _| quote_spanned!(span=> __elasticjob::listener_kind(made)),
    own: Some(Own {
        durations: &["started_timeout", "completed_timeout"],
        jobs: &[],
        beside: |implementor, name| {
            quote! {
                impl __elasticjob::DeclaredListener for #implementor {
                    const NAME: &'static str = #name;
                }
            }
        },
    }),
};

/// No job names it: it receives the events of all jobs, or of the jobs that it names.
pub(crate) const TRACE_LISTENER: Open = Open {
    attribute: "trace_listener",
    trait_name: "TraceListener",
    example: "AUDIT",
    erased: || quote!(__elasticjob::TraceListenerKind),
    convert: |span, _| quote_spanned!(span=> __elasticjob::TraceListenerKind::new(made)),
    own: Some(Own {
        durations: &["timeout"],
        jobs: &[("include_job_names", "Only"), ("exclude_job_names", "AllBut")],
        beside: |_, _| TokenStream::new(),
    }),
};

pub(crate) const SHARDING_STRATEGY: Open = Open {
    attribute: "sharding_strategy",
    trait_name: "ShardingStrategy",
    example: "NEAREST",
    erased: || quote!(dyn __elasticjob::ShardingStrategy),
    convert: |span, implementor| quote_spanned!(span=> ::std::sync::Arc::<#implementor>::new(made)),
    own: None,
};

pub(crate) const EXECUTOR_SERVICE_HANDLER: Open = Open {
    attribute: "executor_service_handler",
    trait_name: "ExecutorServiceHandler",
    example: "DATABASE",
    erased: || quote!(dyn __elasticjob::ExecutorServiceHandler),
    convert: |span, implementor| quote_spanned!(span=> ::std::sync::Arc::<#implementor>::new(made)),
    own: None,
};

const KEYS: [&str; 2] = ["name", "crate"];

impl Open {
    /// Expands the attribute: the implementation as it was, and its declaration or what is wrong with it.
    pub(crate) fn expand(&self, arguments: TokenStream, original: TokenStream) -> TokenStream {
        let mut faults = Faults::default();
        let settings = self.settings(arguments, &mut faults);
        let block = self.block(original.clone(), &mut faults);
        let name = settings
            .name
            .clone()
            .or_else(|| self.own_name(block.as_ref()?, &mut faults));
        let beside = match (name, &block) {
            (Some(name), Some(block)) if faults.is_empty() => self.declaration(&name, &settings, block),
            _ => TokenStream::new(),
        };
        let errors = faults.into_compile_errors();
        quote!(#original #errors #beside)
    }

    /// Reads the arguments, and goes on after a faulty one.
    fn settings(&self, arguments: TokenStream, faults: &mut Faults) -> Settings {
        let mut settings = Settings {
            name: None,
            krate: quote!(::elasticjob),
            durations: Vec::new(),
            jobs: None,
        };
        let durations = self.own.as_ref().map_or(&[][..], |own| own.durations);
        let jobs = self.own.as_ref().map_or(&[][..], |own| own.jobs);
        let mut known = Vec::new();
        for Argument { key, value } in attribute::parse(arguments, faults) {
            let written = key.to_string();
            if known.contains(&written) {
                faults.add(&key, format_args!("`{written}` is given twice"));
            }
            match (written.as_str(), value) {
                ("name", Value::Literal(Lit::Str(text))) if !text.value().trim().is_empty() => {
                    settings.name = Some(text.value());
                }
                ("name", _) => faults.add(
                    &key,
                    format_args!("`name` is a text that is not blank: `name = \"{}\"`", self.example),
                ),
                ("crate", Value::Path(path)) => settings.krate = path.to_token_stream(),
                ("crate", _) => faults.add(&key, "`crate` is a path: `crate = my::elasticjob`"),
                (of, value) if durations.contains(&of) => match duration(&value) {
                    Some(duration) => settings.durations.push((key, duration)),
                    None => faults.add(
                        &key,
                        format_args!("`{written}` is a duration of more than nothing: `{written} = \"3s\"`"),
                    ),
                },
                (of, value) if let Some((_, variant)) = jobs.iter().find(|(key, _)| *key == of) => match value {
                    Value::Texts(names, _) if !names.is_empty() && settings.jobs.is_none() => {
                        let variant = Ident::new(variant, Span::call_site());
                        settings.jobs = Some(quote!(__elasticjob::TracedJobs::#variant(
                            ::std::vec![#(::std::string::String::from(#names)),*]
                        )));
                    }
                    Value::Texts(names, _) if !names.is_empty() => {
                        faults.add(&key, "it names either jobs to include or jobs to exclude, not both");
                    }
                    _ => faults.add(
                        &key,
                        format_args!("`{written}` is a list of names: `{written} = [\"sync_orders\"]`"),
                    ),
                },
                _ => {
                    let more = durations.iter().copied().chain(jobs.iter().map(|(key, _)| *key));
                    faults.add(&key, unknown_key(&written, more));
                }
            }
            known.push(written);
        }
        let is_missing = self.own.is_none() && !known.iter().any(|key| key == "name");
        if is_missing && faults.is_empty() {
            let Self { attribute, example, .. } = self;
            let message =
                format!("the name that configuration uses is missing: `#[{attribute}(name = \"{example}\")]`");
            faults.push(syn::Error::new(Span::call_site(), message));
        }
        settings
    }

    /// The name of a type that was given none.
    fn own_name(&self, block: &Block, faults: &mut Faults) -> Option<String> {
        self.own.as_ref()?;
        let name = match &block.implementor {
            Type::Path(path) => path.path.segments.last().map(|last| last.ident.unraw().to_string()),
            _ => None,
        };
        if name.is_none() {
            faults.add(
                &block.implementor,
                format_args!("it has no name of its own: `name = \"{}\"`", self.example),
            );
        }
        name
    }

    /// Reads the `impl` block, whose body is not looked at.
    fn block(&self, tokens: TokenStream, faults: &mut Faults) -> Option<Block> {
        let block = match (|input: ParseStream<'_>| self.parse(input)).parse2(tokens) {
            Ok(block) => block,
            Err(error) => {
                faults.push(error);
                return None;
            }
        };
        for parameter in &block.generics.params {
            faults.add(
                parameter,
                "it is made once, at start: declare it for a type without parameters",
            );
        }
        Some(block)
    }

    /// Parses the head of the block.
    fn parse(&self, input: ParseStream<'_>) -> syn::Result<Block> {
        let Self {
            attribute, trait_name, ..
        } = self;
        let mut cfgs = input.call(Attribute::parse_outer)?;
        cfgs.retain(|attribute| attribute.path().is_ident("cfg"));
        if !input.peek(Token![impl]) {
            return Err(input.error(format_args!("`#[{attribute}]` stands on `impl {trait_name} for ..`")));
        }
        input.parse::<Token![impl]>()?;
        let generics = input.parse()?;
        let implemented: Type = input.parse()?;
        let (Type::Path(path), true) = (&implemented, input.peek(Token![for])) else {
            let message = format!("expected `impl {trait_name} for ..`");
            return Err(syn::Error::new_spanned(implemented, message));
        };
        input.parse::<Token![for]>()?;
        let block = Block {
            cfgs,
            generics,
            implemented: path.path.clone(),
            implementor: input.parse()?,
        };
        input.parse::<TokenStream>()?;
        Ok(block)
    }

    /// Generates what the framework finds at start: the name, a check of the components that are needed, and what makes
    /// the value.
    fn declaration(&self, name: &str, settings: &Settings, block: &Block) -> TokenStream {
        let Block {
            cfgs,
            implemented,
            implementor,
            ..
        } = block;
        let erased = (self.erased)();
        let Settings { krate, durations, .. } = settings;
        let site = site::expression();
        let mut made = (self.convert)(trait_span(implemented), implementor);
        let mut beside = TokenStream::new();
        if let Some(own) = &self.own {
            for (key, duration) in durations {
                let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
                made = quote!(#made.#key(::core::time::Duration::from_nanos(#nanoseconds)));
            }
            if let Some(jobs) = &settings.jobs {
                made = quote!(#made.jobs(#jobs));
            }
            made = quote!(::std::sync::Arc::new(#made));
            beside = (own.beside)(implementor, name);
        }
        quote! {
            #(#cfgs)*
            #[allow(deprecated, unused_qualifications)]
            const _: () = {
                use #krate::__private as __elasticjob;

                fn __elasticjob_check(__elasticjob_start: &mut __elasticjob::Start<'_>) {
                    <#implementor as __elasticjob::Inject>::check(__elasticjob_start);
                }

                fn __elasticjob_build(
                    __elasticjob_components: &__elasticjob::Components,
                ) -> ::core::result::Result<::std::sync::Arc<#erased>, __elasticjob::MissingComponent> {
                    let made = <#implementor as __elasticjob::Inject>::inject(__elasticjob_components)?;
                    ::core::result::Result::Ok(#made)
                }

                static __ELASTICJOB_DECLARED: __elasticjob::Declared<#erased> =
                    __elasticjob::Declared::new(__elasticjob::DeclaredParts {
                        name: #name,
                        site: #site,
                        check: __elasticjob_check,
                        build: __elasticjob_build,
                    });

                #beside

                __elasticjob::inventory::submit! { &__ELASTICJOB_DECLARED }
            };
        }
    }
}

/// What the attribute says.
struct Settings {
    name: Option<String>,
    krate: TokenStream,
    durations: Vec<(Ident, Duration)>,
    jobs: Option<TokenStream>,
}

/// `impl Trait for Type`.
struct Block {
    cfgs: Vec<Attribute>,
    generics: Generics,
    implemented: Path,
    implementor: Type,
}

/// The last word of a trait's path.
fn trait_span(implemented: &Path) -> Span {
    let last = implemented.segments.last();
    last.map_or_else(Span::call_site, |segment| segment.ident.span())
}

/// Returns that a key is unknown, with the one that was probably meant or all there are.
fn unknown_key(written: &str, more: impl Iterator<Item = &'static str> + Clone) -> String {
    let known = || KEYS.into_iter().chain(more.clone());
    match nearest(written, known()) {
        Some(nearest) => format!("unknown key `{written}`: did you mean `{nearest}`?"),
        None => {
            let known: Vec<String> = known().map(|key| format!("`{key}`")).collect();
            format!("unknown key `{written}`: there are {}", known.join(" and "))
        }
    }
}

/// A duration such as `3s`, if it is one and not zero.
fn duration(value: &Value) -> Option<Duration> {
    let Value::Literal(Lit::Str(text)) = value else {
        return None;
    };
    let duration: SignedDuration = text.value().trim().parse().ok()?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(arguments: TokenStream, item: TokenStream) -> String {
        let expanded = JOB_EXECUTOR.expand(arguments, item.clone()).to_string();
        assert!(expanded.starts_with(&item.to_string()), "{expanded}");
        expanded
    }

    fn block() -> TokenStream {
        quote! {
            #[cfg(unix)]
            impl some::JobExecutor for Sql { body }
        }
    }

    #[test]
    fn an_implementation_is_submitted_beside_its_block() {
        let expanded = expand(quote!(name = "SQL", crate = a::b), block());
        assert!(!expanded.contains("compile_error"), "{expanded}");
        assert!(
            expanded.contains("use a :: b :: __private as __elasticjob"),
            "{expanded}"
        );
        assert!(expanded.contains("name : \"SQL\""), "{expanded}");
        assert_eq!(expanded.matches("# [cfg (unix)]").count(), 2, "{expanded}");
    }

    #[test]
    fn a_listener_has_the_name_of_its_type_and_its_limits() {
        let item = quote!(
            impl JobListener for my::Audit {}
        );
        let expanded = JOB_LISTENER
            .expand(quote!(completed_timeout = "1m 3s"), item.clone())
            .to_string();
        assert!(!expanded.contains("compile_error"), "{expanded}");
        assert!(expanded.contains("name : \"Audit\""), "{expanded}");
        assert!(
            expanded.contains("completed_timeout (:: core :: time :: Duration :: from_nanos (63000000000u64))"),
            "{expanded}"
        );
        assert!(expanded.contains("DeclaredListener for my :: Audit"), "{expanded}");
        let faults = |arguments| {
            JOB_LISTENER
                .expand(arguments, item.clone())
                .to_string()
                .matches("compile_error")
                .count()
        };
        assert_eq!(
            faults(quote!(
                started_timeout = "0s",
                completed_timeout = 3,
                complete_timeout = "3s"
            )),
            3
        );
    }

    #[test]
    fn a_trace_listener_includes_or_excludes_jobs() {
        let item = quote!(
            impl TraceListener for Audit {}
        );
        let expand = |arguments| TRACE_LISTENER.expand(arguments, item.clone()).to_string();
        let expanded = expand(quote!(exclude_job_names = ["beat"], timeout = "3s"));
        assert!(!expanded.contains("compile_error"), "{expanded}");
        assert!(expanded.contains("TracedJobs :: AllBut"), "{expanded}");
        let faults = |arguments| expand(arguments).matches("compile_error").count();
        assert_eq!(faults(quote!(include_job_names = ["a"], exclude_job_names = ["b"])), 1);
        assert_eq!(
            faults(quote!(include_job_names = [], exclude_job_names = "b", timeout = 3)),
            3
        );
        assert_eq!(faults(quote!(started_timeout = "3s")), 1);
    }

    #[test]
    fn reports_every_fault_and_submits_nothing() {
        let faults = |arguments, item| {
            let expanded = expand(arguments, item);
            assert!(!expanded.contains("submit !"), "{expanded}");
            expanded.matches("compile_error").count()
        };
        assert_eq!(faults(quote!(), block()), 1);
        assert_eq!(faults(quote!(name = " "), block()), 1);
        assert_eq!(faults(quote!(name = 1, nam = "SQL", crate = 2), block()), 3);
        assert_eq!(faults(quote!(name = "A", name = "B"), block()), 1);
        assert_eq!(faults(quote!(name = "SQL"), quote!(impl Sql {})), 1);
        assert_eq!(
            faults(
                quote!(name = "SQL"),
                quote!(
                    fn sql() {}
                )
            ),
            1
        );
        assert_eq!(
            faults(
                quote!(name = "SQL"),
                quote!(
                    impl<T> JobExecutor for Sql<T> {}
                )
            ),
            1
        );
    }
}
