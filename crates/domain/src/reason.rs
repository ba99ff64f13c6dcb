//! Why the service refuses: one stable name per rule, with fixed texts for the caller.

use std::time::Duration;

use crate::enums::text_enum;

text_enum! {
    /// The kind of a refusal; the names are those of the canonical status codes.
    pub enum Category {
        /// The message itself is wrong; sending it again unchanged cannot succeed.
        InvalidArgument = "INVALID_ARGUMENT",
        /// The caller is not known by its certificate.
        Unauthenticated = "UNAUTHENTICATED",
        /// The caller is known and may not do this.
        PermissionDenied = "PERMISSION_DENIED",
        /// The message is well formed, and the state of the records does not allow the act.
        FailedPrecondition = "FAILED_PRECONDITION",
        /// What would be created exists.
        AlreadyExists = "ALREADY_EXISTS",
        /// Another act came between.
        Aborted = "ABORTED",
        /// A limit is exceeded.
        ResourceExhausted = "RESOURCE_EXHAUSTED",
        /// The service cannot answer now; a later attempt may succeed.
        Unavailable = "UNAVAILABLE",
        /// There is no such resource for this caller.
        NotFound = "NOT_FOUND",
        /// The caller's deadline leaves no time.
        DeadlineExceeded = "DEADLINE_EXCEEDED",
        /// There is no such method.
        Unimplemented = "UNIMPLEMENTED",
        /// A fault of the service.
        Internal = "INTERNAL",
    }
}

/// Declares [`Reason`] and its texts, so that a reason without a text in either language cannot be written.
macro_rules! reasons {
    ($( $category:ident { $( $variant:ident = $text:literal, en: $en:literal, fa: $fa:literal, remedy: $remedy:literal; )+ } )+) => {
        text_enum! {
            /// Why a call, or one field of its message, is refused. The names are part of the contract and never change.
            pub enum Reason {
                $( $( #[doc = concat!("The ", $en, ".")] $variant = $text, )+ )+
            }
        }

        impl Reason {
            /// The kind of refusal, which decides the status code.
            #[must_use]
            pub const fn category(self) -> Category {
                match self {
                    $( $( Self::$variant => Category::$category, )+ )+
                }
            }

            /// What is wrong, in English: a fixed text without data of the call.
            #[must_use]
            pub const fn message_en(self) -> &'static str {
                match self {
                    $( $( Self::$variant => concat!("the ", $en), )+ )+
                }
            }

            /// What is wrong, in Persian: a fixed text without data of the call.
            #[must_use]
            pub const fn message_fa(self) -> &'static str {
                match self {
                    $( $( Self::$variant => $fa, )+ )+
                }
            }

            /// What the caller should do about it, in English; text of the documentation.
            #[must_use]
            pub const fn remedy_en(self) -> &'static str {
                match self {
                    $( $( Self::$variant => $remedy, )+ )+
                }
            }
        }
    };
}

// English texts continue "the …".
reasons! {
    InvalidArgument {
        NationalCodeChecksum = "NATIONAL_CODE_CHECKSUM",
            en: "check digit of the national code is wrong",
            fa: "رقم کنترل کد ملی درست نیست",
            remedy: "Compare the national code with the identity document; one of its digits is wrong.";
        NationalCodeAllSame = "NATIONAL_CODE_ALL_SAME",
            en: "national code consists of one repeated digit",
            fa: "کد ملی نمی‌تواند از ده رقم یکسان تشکیل شود",
            remedy: "Send the person's real national code instead of a filler.";
        NationalIdChecksum = "NATIONAL_ID_CHECKSUM",
            en: "check digit of the national id of a legal entity is wrong",
            fa: "رقم کنترل شناسهٔ ملی شخص حقوقی نادرست است",
            remedy: "Correct the eleven digits.";
        JalaliDateInvalid = "JALALI_DATE_INVALID",
            en: "date does not exist in the Jalali calendar",
            fa: "چنین تاریخی در تقویم هجری شمسی وجود ندارد",
            remedy: "Send a Jalali year (1250 to 1550), month and day; day 30 of Esfand exists in leap years only.";
        TermInFuture = "TERM_IN_FUTURE",
            en: "term has not begun yet",
            fa: "نیم‌سال اعلام‌شده هنوز آغاز نشده است",
            remedy: "Send a term which has already begun.";
        NameScript = "NAME_SCRIPT",
            en: "name contains characters outside the script of its field",
            fa: "نام دارای نویسه‌هایی خارج از خط مجاز این فیلد است",
            remedy: "Write Persian names in Persian letters and English names in Latin letters.";
        FieldRequired = "FIELD_REQUIRED",
            en: "field is required",
            fa: "تکمیل این فیلد الزامی است",
            remedy: "Fill the field.";
        FieldTooLong = "FIELD_TOO_LONG",
            en: "field is longer than allowed",
            fa: "مقدار این فیلد از حد مجاز بلندتر است",
            remedy: "Shorten the field to the limit given in the contract.";
        FieldFormat = "FIELD_FORMAT",
            en: "field does not have the required form",
            fa: "قالب مقدار این فیلد درست نیست",
            remedy: "Write the field in the form which the contract describes.";
        AttachmentType = "ATTACHMENT_TYPE",
            en: "file is neither a JPEG picture nor a PDF document",
            fa: "پرونده نه تصویر جی‌پگ است و نه سند پی‌دی‌اف",
            remedy: "Send a whole JPEG or PDF file; the content counts, not the name.";
        AttachmentTooLarge = "ATTACHMENT_TOO_LARGE",
            en: "file is larger than its type allows",
            fa: "حجم پرونده از حد مجاز نوع آن بیشتر است",
            remedy: "Send a JPEG picture of at most 300 kB or a PDF document of at most 2 MB.";
        MoneyUnitRequired = "MONEY_UNIT_REQUIRED",
            en: "amount does not name its unit",
            fa: "واحد پول مبلغ مشخص نشده است",
            remedy: "Say which rial the amount is in: an amount without its unit means nothing.";
        PageTokenInvalid = "PAGE_TOKEN_INVALID",
            en: "page token is not valid for this query",
            fa: "نشانهٔ صفحه برای این پرس‌وجو معتبر نیست",
            remedy: "Use the token of the previous page with an unchanged query, or start again without a token.";
        BatchTooLarge = "BATCH_TOO_LARGE",
            en: "batch has more rows than allowed",
            fa: "شمار ردیف‌های درخواست گروهی از حد مجاز بیشتر است",
            remedy: "Split the batch.";
    }
    Unauthenticated {
        CertificateNotRegistered = "CERTIFICATE_NOT_REGISTERED",
            en: "client certificate is not registered for a caller",
            fa: "گواهی دیجیتال ارائه‌شده برای هیچ سامانه‌ای ثبت نشده است",
            remedy: "Have the certificate's fingerprint registered for the caller which its name states.";
        CertificateRevoked = "CERTIFICATE_REVOKED",
            en: "client certificate is revoked",
            fa: "گواهی دیجیتال سامانهٔ فراخواننده باطل شده است",
            remedy: "Connect with another registered certificate.";
        CertificateExpired = "CERTIFICATE_EXPIRED",
            en: "client certificate is expired",
            fa: "مدت اعتبار گواهی دیجیتال سامانهٔ فراخواننده به پایان رسیده است",
            remedy: "Renew the certificate and have the new one registered.";
        ForwardedIdentityUntrusted = "FORWARDED_IDENTITY_UNTRUSTED",
            en: "forwarded client certificate is not trusted",
            fa: "گواهی کارخواه که از راه واسط رسیده پذیرفتنی نیست",
            remedy: "Send the header only through the forwarder that is pinned, with the certificate of a registered caller of the national hub.";
        CallerNotActive = "CALLER_NOT_ACTIVE",
            en: "caller is not active",
            fa: "دسترسی سامانهٔ فراخواننده فعال نیست",
            remedy: "Ask the operator why the caller is paused or retired.";
    }
    PermissionDenied {
        MethodNotAllowedForClass = "METHOD_NOT_ALLOWED_FOR_CLASS",
            en: "method is not allowed for the class of the caller",
            fa: "فراخوانی این عملیات برای ردهٔ این سامانه مجاز نیست",
            remedy: "Call from a system of a class which may use the method.";
        InstitutionNotOwned = "INSTITUTION_NOT_OWNED",
            en: "caller may not act for this institution",
            fa: "این سامانه اجازهٔ اقدام از سوی این مؤسسه را ندارد",
            remedy: "Name the caller's own institution, or one whose central body the caller is.";
        PurposeNotInAgreement = "PURPOSE_NOT_IN_AGREEMENT",
            en: "purpose of the call is not in the agreement",
            fa: "این هدف استفاده در توافق‌نامه نیامده است",
            remedy: "Use the service for what the agreement names, or ask for another agreement.";
        FieldNotDisclosable = "FIELD_NOT_DISCLOSABLE",
            en: "field can not be disclosed to the class of the caller",
            fa: "این قلم داده برای ردهٔ این سامانه قابل ارائه نیست",
            remedy: "Ask for the fields that the caller's class may be told.";
        OnBehalfNotAllowed = "ON_BEHALF_NOT_ALLOWED",
            en: "caller may not act on behalf of an agency",
            fa: "این سامانه اجازهٔ فراخوانی به نمایندگی از دستگاه دیگر را ندارد",
            remedy: "Leave the metadata gavah-on-behalf-of, gavah-purpose and gavah-agreement out: only the national hub calls on behalf of agencies.";
        SamePersonCannotDecide = "SAME_PERSON_CANNOT_DECIDE",
            en: "decider has a part in the application already",
            fa: "تصمیم‌گیرنده پیش‌تر در این درخواست نقشی داشته است",
            remedy: "Have somebody decide who is neither the applicant nor the one that decided for the other body.";
        NotTheOpener = "NOT_THE_OPENER",
            en: "dispute was opened by the other party",
            fa: "این اختلاف را طرف دیگر مطرح کرده است",
            remedy: "Leave it to the party that opened the dispute, or agree with it.";
    }
    FailedPrecondition {
        CallNotOpen = "CALL_NOT_OPEN",
            en: "service call is not open",
            fa: "فراخوان این خدمت باز نیست",
            remedy: "Wait until the provider opens a call for the service.";
        AgreementNotActive = "AGREEMENT_NOT_ACTIVE",
            en: "agreement for this service is missing or not active",
            fa: "توافق‌نامهٔ فعالی برای این خدمت وجود ندارد",
            remedy: "Conclude the service-level agreement of the open call, or ask why it is suspended.";
        InstitutionTypeNotEligible = "INSTITUTION_TYPE_NOT_ELIGIBLE",
            en: "type of the institution is not eligible for this service",
            fa: "این نوع مؤسسه مشمول این خدمت نیست",
            remedy: "Use the channel provided for institutions of this type; the service call lists the eligible ones.";
        IssuancePaused = "ISSUANCE_PAUSED",
            en: "issuing of this service's documents is paused",
            fa: "صدور مدارک این خدمت موقتاً متوقف شده است",
            remedy: "Wait until the provider ends the pause; validation goes on meanwhile.";
        DocumentKindNotEnabled = "DOCUMENT_KIND_NOT_ENABLED",
            en: "kind of document is not enabled in the service call",
            fa: "این نوع مدرک در فراخوان خدمت فعال نشده است",
            remedy: "Send one of the kinds of document which the service call enables.";
        ExpertNotActive = "EXPERT_NOT_ACTIVE",
            en: "expert is not registered for the institution or not active",
            fa: "کارشناس نام‌برده برای این مؤسسه ثبت نشده یا فعال نیست",
            remedy: "Name an active expert of the institution, or have the expert registered first.";
        EnrollmentRecordNotFound = "ENROLLMENT_RECORD_NOT_FOUND",
            en: "enrollment record of this person and program is not on file",
            fa: "سابقهٔ ثبت‌نام این شخص در این رشته ثبت نشده است",
            remedy: "Have the institution push the enrollment record, then ask again.";
        EnrollmentRecordStale = "ENROLLMENT_RECORD_STALE",
            en: "enrollment record is older than the workflow allows",
            fa: "سابقهٔ ثبت‌نام به‌روز نیست",
            remedy: "Have the institution push a fresh enrollment record, then ask again.";
        EnrollmentNotActive = "ENROLLMENT_NOT_ACTIVE",
            en: "enrollment is not active in the current term",
            fa: "دانشجو در نیم‌سال جاری ثبت‌نام فعال ندارد",
            remedy: "Clear the status and the registered units with the institution.";
        SubjectMismatch = "SUBJECT_MISMATCH",
            en: "subject differs from the record",
            fa: "مشخصات اعلام‌شده با سابقهٔ ثبت‌شده مطابقت ندارد",
            remedy: "Compare the person's identity and names with the record of the institution.";
        ReleaseBlocked = "RELEASE_BLOCKED",
            en: "record carries a block on releasing documents",
            fa: "به‌دلیل منع ثبت‌شده در سابقه، صدور مدرک ممکن نیست",
            remedy: "Have the institution lift the block.";
        PriorQualificationMissing = "PRIOR_QUALIFICATION_MISSING",
            en: "proof of the previous degree level is missing",
            fa: "تأییدیهٔ مقطع تحصیلی پیشین ارائه نشده است",
            remedy: "Send the validity code of each level that the answer names as missing.";
        AttachmentRequired = "ATTACHMENT_REQUIRED",
            en: "application lacks a file which the workflow requires",
            fa: "پیوستی که گردش کار این خدمت لازم می‌داند ارائه نشده است",
            remedy: "Upload a file of each kind that the answer names as missing, and attach it.";
        StateTransitionNotAllowed = "STATE_TRANSITION_NOT_ALLOWED",
            en: "act is not possible in the present state",
            fa: "این اقدام در وضعیت کنونی ممکن نیست",
            remedy: "Read the resource and choose an act which its state allows.";
        ReviewNotOffered = "REVIEW_NOT_OFFERED",
            en: "application needs a review which the workflow does not offer",
            fa: "این درخواست نیازمند بررسی است و گردش کار این خدمت بررسی ندارد",
            remedy: "Apply for what the record alone confirms, or wait for a call whose workflow has reviews.";
        ReviewRequired = "REVIEW_REQUIRED",
            en: "workflow has such documents reviewed",
            fa: "گردش کار این خدمت بررسی پیش از صدور را لازم می‌داند",
            remedy: "Hand in an application, which then goes through its reviews.";
        PaymentRequired = "PAYMENT_REQUIRED",
            en: "fee has to be paid first",
            fa: "ادامهٔ کار نیازمند پرداخت هزینهٔ خدمت است",
            remedy: "Hand in an application, or a row of a run: it waits for its payment.";
        PaymentNotOffered = "PAYMENT_NOT_OFFERED",
            en: "service takes no payments as it is configured",
            fa: "در پیکربندی کنونی سامانه امکان پرداخت فراهم نیست",
            remedy: "Ask the operator to configure a payment gateway.";
        PaymentGatewayRefused = "PAYMENT_GATEWAY_REFUSED",
            en: "payment gateway refused what it was asked",
            fa: "درگاه پرداخت این درخواست را نپذیرفت",
            remedy: "Nothing was charged or paid back by this call; see the cause in the metadata and begin anew, or ask the operator.";
        TariffYearNotLoaded = "TARIFF_YEAR_NOT_LOADED",
            en: "tariff of the budget year is not loaded",
            fa: "جدول تعرفهٔ این سال بودجه بارگذاری نشده است",
            remedy: "Ask the provider to load the tariff of the year; a missing table never means free of charge.";
        HolidaysNotLoaded = "HOLIDAYS_NOT_LOADED",
            en: "working calendar of the year is not loaded",
            fa: "تقویم کاری این سال بارگذاری نشده است",
            remedy: "Ask the provider to load the weekends and holidays of the year: without them no due time can be promised.";
        NegotiationPeriodNotOver = "NEGOTIATION_PERIOD_NOT_OVER",
            en: "month of negotiation is not over",
            fa: "مهلت یک‌ماههٔ مذاکره هنوز به پایان نرسیده است",
            remedy: "Rule at or after the deadline that the answer names, or when both parties have consented to a ruling.";
        ActionNotOrdered = "ACTION_NOT_ORDERED",
            en: "ruling does not order this act here and now",
            fa: "رأی صادرشده این اقدام را در اینجا و اکنون دستور نداده است",
            remedy: "Read the dispute: name an action of this kind on this target that is neither done nor closed, after those before it.";
        ClockNotMovable = "CLOCK_NOT_MOVABLE",
            en: "clock can be moved in a sandbox only",
            fa: "جابه‌جا کردن ساعت تنها در محیط آزمایشی ممکن است",
            remedy: "Ask a server that is configured as a sandbox.";
        ClockOnlyForward = "CLOCK_ONLY_FORWARD",
            en: "clock can only be moved forward",
            fa: "ساعت را تنها می‌توان به جلو برد",
            remedy: "Ask GetClock what time it is, and name a later day.";
        TermNotLoaded = "TERM_NOT_LOADED",
            en: "academic term is not in the table of terms",
            fa: "نیم‌سال تحصیلی در جدول نیم‌سال‌ها ثبت نشده است",
            remedy: "Ask the provider to load the dates of the term.";
        TooManyActiveCertificates = "TOO_MANY_ACTIVE_CERTIFICATES",
            en: "caller already has two active client certificates",
            fa: "این سامانه هم‌اکنون دو گواهی دیجیتال فعال دارد",
            remedy: "Retire the old certificate before registering another.";
        InstitutionNotActive = "INSTITUTION_NOT_ACTIVE",
            en: "institution is not active",
            fa: "این مؤسسه فعال نیست",
            remedy: "Name the institution which succeeds it.";
    }
    AlreadyExists {
        CodeAlreadyIssued = "CODE_ALREADY_ISSUED",
            en: "document already has a live validity code",
            fa: "برای این مدرک پیش‌تر کد صحت صادر شده و معتبر است",
            remedy: "Use the existing code, or correct or revoke it first.";
        OpenApplicationExists = "OPEN_APPLICATION_EXISTS",
            en: "same application is already open",
            fa: "درخواست باز دیگری با همین مشخصات وجود دارد",
            remedy: "Continue or cancel the open application.";
        OpenPaymentExists = "OPEN_PAYMENT_EXISTS",
            en: "application is being paid for already",
            fa: "برای این درخواست پرداخت باز دیگری وجود دارد",
            remedy: "Send the payer to the open payment, or wait until it has failed or expired.";
        RequestIdReused = "REQUEST_ID_REUSED",
            en: "request id was used with another content",
            fa: "این شناسهٔ درخواست پیش‌تر با محتوای دیگری به کار رفته است",
            remedy: "Use a new request id for each new act, and the same one only to repeat an unchanged call.";
        ResourceAlreadyExists = "RESOURCE_ALREADY_EXISTS",
            en: "resource already exists",
            fa: "منبعی با این شناسه از پیش وجود دارد",
            remedy: "Read the existing resource, or choose another identifier.";
    }
    Aborted {
        EtagMismatch = "ETAG_MISMATCH",
            en: "resource has changed since it was read",
            fa: "این منبع پس از آخرین خواندن تغییر کرده است",
            remedy: "Read the resource again and repeat the change with its new etag.";
        ConcurrentUpdate = "CONCURRENT_UPDATE",
            en: "act met another one on the same record",
            fa: "اقدام هم‌زمان دیگری روی همین سابقه در جریان بود",
            remedy: "Repeat the call with the same request id.";
    }
    ResourceExhausted {
        DailyQuota = "DAILY_QUOTA",
            en: "agreement's daily number of calls is used up",
            fa: "سقف روزانهٔ فراخوانی توافق‌نامه به پایان رسیده است",
            remedy: "Wait for the next day in Tehran as RetryInfo says, or agree on a higher number.";
        Burst = "BURST",
            en: "agreement's number of calls in a second is exceeded",
            fa: "شمار فراخوانی‌ها در ثانیه از حد توافق‌نامه بیشتر است",
            remedy: "Wait as RetryInfo says, and spread the calls.";
        NegativeLookups = "NEGATIVE_LOOKUPS",
            en: "caller's daily budget of lookups is used up",
            fa: "سهمیهٔ روزانهٔ استعلام این سامانه به پایان رسیده است",
            remedy: "Find out why so many codes or persons were guessed wrong; the budget begins anew the next day in Tehran.";
        TooManyJobs = "TOO_MANY_JOBS",
            en: "caller has too many jobs that have not ended",
            fa: "شمار کارهای پایان‌نیافتهٔ این سامانه از حد مجاز بیشتر است",
            remedy: "Wait until one of the caller's jobs has ended, or cancel one.";
        MessageTooLarge = "MESSAGE_TOO_LARGE",
            en: "message is larger than allowed",
            fa: "حجم پیام از حد مجاز بیشتر است",
            remedy: "Send a smaller message, or split the batch.";
    }
    Unavailable {
        StoreUnavailable = "STORE_UNAVAILABLE",
            en: "database cannot be reached at the moment",
            fa: "دسترسی به پایگاه داده در این لحظه ممکن نیست",
            remedy: "Repeat the call with the same request id after the stated delay.";
        PaymentGatewayUnavailable = "PAYMENT_GATEWAY_UNAVAILABLE",
            en: "payment gateway gives no answer at the moment",
            fa: "درگاه پرداخت در این لحظه پاسخ نمی‌دهد",
            remedy: "Repeat the call with the same request id after the stated delay; what was paid is not lost.";
        Overloaded = "OVERLOADED",
            en: "service is overloaded at the moment",
            fa: "بار سامانه در این لحظه بیش از ظرفیت آن است",
            remedy: "Repeat the call with the same request id after the stated delay, each time waiting longer.";
        Draining = "DRAINING",
            en: "server is shutting down",
            fa: "این کارساز در حال خاموش شدن است",
            remedy: "Connect again and repeat the call with the same request id.";
    }
    NotFound {
        ResourceNotFound = "RESOURCE_NOT_FOUND",
            en: "resource does not exist or is not visible to the caller",
            fa: "منبع درخواستی وجود ندارد یا در دسترس این سامانه نیست",
            remedy: "Check the name of the resource.";
    }
    DeadlineExceeded {
        NotEnoughTimeLeft = "NOT_ENOUGH_TIME_LEFT",
            en: "deadline leaves too little time to begin the act",
            fa: "زمان باقی‌مانده برای آغاز این اقدام کافی نیست",
            remedy: "Nothing was done; call again with a later deadline.";
        DeadlinePassed = "DEADLINE_PASSED",
            en: "deadline passed before the answer was ready",
            fa: "مهلت پاسخ پیش از آماده شدن آن به پایان رسید",
            remedy: "Repeat the call with the same request id and a later deadline; it tells whether the act was done.";
    }
    Unimplemented {
        MethodUnknown = "METHOD_UNKNOWN",
            en: "method does not exist",
            fa: "چنین عملیاتی وجود ندارد",
            remedy: "Compare the version of the contract with the one that the server offers.";
    }
    Internal {
        Internal = "INTERNAL",
            en: "service met an internal error",
            fa: "در سامانه خطای داخلی رخ داد",
            remedy: "Report the trace id to the operator; repeat a write only with the same request id.";
    }
}

impl Reason {
    /// How long the caller should wait before it repeats the call; `None` where waiting does not help.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::ConcurrentUpdate => Some(Duration::from_millis(100)),
            Self::StoreUnavailable
            | Self::PaymentGatewayUnavailable
            | Self::Overloaded
            | Self::Draining => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn screaming_snake(variant: &str) -> String {
        let mut name = String::new();
        for letter in variant.chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }

    #[test]
    fn every_name_is_its_variant_in_screaming_snake_case() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str(), screaming_snake(&format!("{reason:?}")));
        }
        for category in Category::ALL {
            assert_eq!(category.as_str(), screaming_snake(&format!("{category:?}")));
        }
    }

    #[test]
    fn every_category_is_used() {
        let used: HashSet<_> = Reason::ALL.iter().map(|reason| reason.category()).collect();
        assert_eq!(used.len(), Category::ALL.len());
    }

    #[test]
    fn every_reason_says_something_of_its_own_in_both_languages() {
        let mut seen = HashSet::new();
        for reason in Reason::ALL {
            assert!(seen.insert(reason.message_en()), "{reason}");
            assert!(seen.insert(reason.message_fa()), "{reason}");
            assert!(reason.remedy_en().ends_with('.'), "{reason}");
        }
    }

    #[test]
    fn messages_have_the_house_form() {
        for reason in Reason::ALL {
            let (en, fa) = (reason.message_en(), reason.message_fa());
            assert!(
                en.starts_with("the ") && !en.ends_with('.') && en.is_ascii(),
                "{en}"
            );
            assert!(
                !fa.ends_with('.') && !fa.chars().any(|c| c.is_ascii_alphanumeric()),
                "{fa}"
            );
            // Persian letters, never their Arabic look-alikes.
            assert!(!fa.contains(['ي', 'ى', 'ك', 'ـ']), "{fa}");
        }
    }

    #[test]
    fn only_passing_troubles_invite_a_retry() {
        let retried: Vec<_> = Reason::ALL
            .iter()
            .filter(|reason| reason.retry_after().is_some())
            .collect();
        assert_eq!(
            retried,
            [
                &Reason::ConcurrentUpdate,
                &Reason::StoreUnavailable,
                &Reason::PaymentGatewayUnavailable,
                &Reason::Overloaded,
                &Reason::Draining,
            ]
        );
    }
}
