use super::*;

const MANUAL: &str = "\
spring:
  datasource:
    url: jdbc:mysql://db:3306/jobs
    driver-class-name: com.mysql.cj.jdbc.Driver
    username: root
    password: hunter2
    hikari: {connection-timeout: 3000}
    platform: mysql
elasticjob:
  tracing:
    type: RDB
";

fn setting<'a>(settings: &'a Settings, name: &str) -> Option<&'a str> {
    settings.tracing.as_ref()?.data_source.as_ref()?.get(name)
}

#[test]
fn is_springs_if_history_has_none_of_its_own() {
    let settings = yaml(MANUAL).unwrap();
    assert_eq!(setting(&settings, "url"), Some("jdbc:mysql://db:3306/jobs"));
    assert_eq!(setting(&settings, "username"), Some("root"));
    assert_eq!(setting(&settings, "password"), Some("hunter2"));
    assert_eq!(
        setting(&settings, "driver-class-name"),
        Some("com.mysql.cj.jdbc.Driver")
    );
    let tracing = settings.tracing.as_ref().unwrap();
    let names: Vec<_> = tracing.data_source.as_ref().unwrap().names().collect();
    assert_eq!(
        names,
        ["driver-class-name", "password", "url", "username"],
        "the rest is others'"
    );
    let fault = tracing.data_source_fault("url", "is wrong").to_string();
    assert!(
        fault.ends_with("application.yml:3: `spring.datasource.url`: is wrong"),
        "{fault}"
    );
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn is_read_for_programs_that_read_tracing_alone() {
    let files = [("application.yml", MANUAL)];
    let given = Given {
        files: &files,
        ..Given::default()
    };
    let tracing = given.with(|loader| loader.load_tracing()).unwrap().unwrap();
    assert_eq!(
        tracing.data_source.unwrap().get("url"),
        Some("jdbc:mysql://db:3306/jobs")
    );
}

#[test]
fn of_tracing_wins_as_a_whole_or_in_part() {
    let own = format!("{MANUAL}    data-source: {{url: 'sqlite:a.db'}}\n");
    let settings = yaml(&own).unwrap();
    assert_eq!(setting(&settings, "url"), Some("sqlite:a.db"));
    assert_eq!(setting(&settings, "password"), None, "it is for another database");
    let in_part = format!("{MANUAL}    data-source: {{username: history}}\n");
    let settings = yaml(&in_part).unwrap();
    assert_eq!(setting(&settings, "username"), Some("history"));
    assert_eq!(setting(&settings, "url"), Some("jdbc:mysql://db:3306/jobs"));
}

#[test]
fn comes_from_files_of_profiles_and_the_environment_too() {
    let profile = "spring.datasource.username=${DB_USER}\n";
    let files = [("application.yml", MANUAL), ("application-prod.properties", profile)];
    let environment = [
        ("ELASTICJOB_PROFILES_ACTIVE", "prod"),
        ("DB_USER", "prod-user"),
        ("SPRING_DATASOURCE_URL", "jdbc:postgresql://prod/jobs"),
        ("SPRING_DATASOURCE_HIKARI_PASSWORD", "of the pool"),
        ("spring.datasource.driver-class-name", "org.postgresql.Driver"),
    ];
    let settings = Given {
        files: &files,
        environment: &environment,
    }
    .load()
    .unwrap();
    assert_eq!(setting(&settings, "url"), Some("jdbc:postgresql://prod/jobs"));
    assert_eq!(setting(&settings, "username"), Some("prod-user"));
    assert_eq!(setting(&settings, "password"), Some("of the pool"));
    assert_eq!(setting(&settings, "driver-class-name"), Some("org.postgresql.Driver"));
}

#[test]
fn is_ignored_without_tracing() {
    let text = MANUAL.replace("type: RDB", "").replace("root", "${NO_SUCH_NAME}");
    assert_eq!(yaml(&text).unwrap().tracing, None);
    let refused = faults(yaml(&text.replace("tracing:", "tracing: {type: RDB}")));
    assert_eq!(refused.len(), 1);
    assert!(
        refused[0].starts_with("application.yml:5: `spring.datasource.username` is"),
        "{refused:?}"
    );
}

#[test]
fn that_cannot_be_read_is_passed_on_to_be_refused() {
    let settings = yaml("spring.datasource: {jndi-name: java:comp/env/db}\nelasticjob.tracing.type: RDB\n").unwrap();
    assert_eq!(setting(&settings, "jndi-name"), Some("java:comp/env/db"));
}
