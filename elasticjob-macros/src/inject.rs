//! `#[derive(Inject)]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Data, DeriveInput, Fields, Member, Path};

use crate::faults::Faults;

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let mut faults = Faults::default();
    let krate = krate(&input, &mut faults);
    let fields = fields(&input, &mut faults);
    let fields = match fields {
        Some(fields) if faults.is_empty() => fields,
        _ => return faults.into_compile_errors(),
    };
    implementation(&input, fields, &krate)
}

fn implementation(input: &DeriveInput, fields: &Fields, krate: &TokenStream) -> TokenStream {
    let name = &input.ident;
    let (generics, arguments, conditions) = input.generics.split_for_impl();
    let members: Vec<Member> = fields.members().collect();
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let names = members.iter().map(member_name);
    quote! {
        #[automatically_derived]
        impl #generics #krate::__private::Inject for #name #arguments #conditions {
            fn inject(
                __elasticjob_components: &#krate::__private::Components,
            ) -> ::core::result::Result<Self, #krate::__private::MissingComponent> {
                ::core::result::Result::Ok(Self {
                    #(#members: <#types as #krate::__private::FromComponents>::from_components(
                        __elasticjob_components,
                    )?,)*
                })
            }

            fn check(__elasticjob_start: &mut #krate::__private::Start<'_>) {
                #(
                    let missing = <#types as #krate::__private::FromComponents>::from_components(
                        __elasticjob_start.components(),
                    );
                    __elasticjob_start.field(#names, ::core::any::type_name::<#types>(), missing.err());
                )*
            }
        }
    }
}

fn member_name(member: &Member) -> String {
    match member {
        Member::Named(name) => syn::ext::IdentExt::unraw(name).to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    }
}

fn fields<'a>(input: &'a DeriveInput, faults: &mut Faults) -> Option<&'a Fields> {
    match &input.data {
        Data::Struct(data) => Some(&data.fields),
        Data::Enum(data) => {
            faults.add(
                data.enum_token,
                "`Inject` is for structs: an enum does not say which variant to make",
            );
            None
        }
        Data::Union(data) => {
            faults.add(data.union_token, "`Inject` is for structs");
            None
        }
    }
}

/// The path of the façade crate, from `#[inject(crate = path)]`.
fn krate(input: &DeriveInput, faults: &mut Faults) -> TokenStream {
    let mut krate = quote!(::elasticjob);
    for attribute in input
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("inject"))
    {
        let parsed = attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("unknown key, expected `crate = path`"));
            }
            krate = meta.value()?.call(Path::parse_mod_style)?.into_token_stream();
            Ok(())
        });
        if let Err(error) = parsed {
            faults.push(error);
        }
    }
    for field in fields_of(input) {
        for attribute in field
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("inject"))
        {
            faults.add(attribute, "a field takes no `inject` attribute");
        }
    }
    krate
}

fn fields_of(input: &DeriveInput) -> impl Iterator<Item = &syn::Field> {
    let fields = match &input.data {
        Data::Struct(data) => Some(&data.fields),
        _ => None,
    };
    fields.into_iter().flat_map(Fields::iter)
}
