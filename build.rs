//! Compiles `proto/` into a descriptor set, messages, services and field checks.
//! Needs no protoc.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use gavah_rules::{Guide, Language};
use protox::prost_reflect;

const FILES: [&str; 19] = [
    "gavah/v1/types.proto",
    "gavah/v1/registry_service.proto",
    "gavah/v1/enrollment_record_service.proto",
    "gavah/v1/validity_code_service.proto",
    "gavah/v1/enrollment_certificate_service.proto",
    "gavah/v1/validation_service.proto",
    "gavah/v1/change_service.proto",
    "gavah/v1/audit_service.proto",
    "gavah/v1/incident_service.proto",
    "gavah/v1/attachment_service.proto",
    "gavah/v1/issuance_job_service.proto",
    "gavah/v1/document_service.proto",
    "gavah/v1/agreement_service.proto",
    "gavah/v1/dispute_service.proto",
    "gavah/v1/inquiry_service.proto",
    "gavah/v1/tariff_service.proto",
    "gavah/v1/sandbox_service.proto",
    "gavah/v1/payment_service.proto",
    "gavah/v1/sla_service.proto",
];

/// The guides: name of the constant, titles, and the requests each is about.
const GUIDES: [(&str, &str, &str, &[&str]); 2] = [
    (
        "ENROLLMENT_CERTIFICATE",
        "راهنمای خدمت گواهی اشتغال به تحصیل",
        "Guide of the service: enrollment certificates",
        &[
            "gavah.v1.CreateEnrollmentCertificateApplicationRequest",
            "gavah.v1.RecordUniversityDecisionRequest",
            "gavah.v1.RecordOrganizationDecisionRequest",
        ],
    ),
    (
        "VALIDITY_CODE",
        "راهنمای خدمت صدور کد صحت",
        "Guide of the service: validity codes",
        &[
            "gavah.v1.IssueValidityCodeRequest",
            "gavah.v1.CreateValidityCodeApplicationRequest",
            "gavah.v1.RecordExpertDecisionRequest",
            "gavah.v1.RecordCodeReviewRequest",
        ],
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    for folder in ["buf", "gavah", "google", "guide.fa.tsv"] {
        println!("cargo::rerun-if-changed=proto/{folder}");
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;
    let descriptor_set = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptor_set.binpb"), &descriptor_set)?;
    publish(&out, &descriptor_set)?;

    let pool = compiler.descriptor_pool();
    let messages = gavah_rules::messages(&pool, "gavah.v1");
    fs::write(
        out.join("validate.rs"),
        gavah_rules::validators(&pool, "gavah.v1")?,
    )?;

    fs::write(out.join("guides.rs"), guides(&pool)?)?;

    tonic_prost_build::configure()
        .build_transport(false)
        .codec_path("crate::BoundedCodec")
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .skip_debug(
            messages
                .iter()
                .map(|message| format!(".{}", message.full_name())),
        )
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The guides as constants, `VALIDITY_CODE_FA` among them.
fn guides(pool: &prost_reflect::DescriptorPool) -> Result<String, Box<dyn Error>> {
    let persian = fs::read_to_string("proto/guide.fa.tsv")?;
    let mut code = String::new();
    for (name, title_fa, title_en, requests) in GUIDES {
        let guide = Guide {
            title_fa,
            title_en,
            requests,
            persian: &persian,
        };
        for (suffix, language) in [("FA", Language::Persian), ("EN", Language::English)] {
            let markdown = guide.write(pool, language)?;
            code += &format!("/// {title_en}.\npub const {name}_{suffix}: &str = {markdown:?};\n");
        }
    }
    Ok(code)
}

/// Leaves the descriptor set where tools outside the build find it:
/// `contract/descriptor_set.binpb` in the target folder.
fn publish(out: &Path, descriptor_set: &[u8]) -> Result<(), Box<dyn Error>> {
    // OUT_DIR is <target>/<profile>/build/<package>/out.
    let target = out
        .ancestors()
        .nth(4)
        .ok_or("OUT_DIR is not inside a target folder")?;
    let folder = target.join("contract");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("descriptor_set.binpb"), descriptor_set)?;
    Ok(())
}
