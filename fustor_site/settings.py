"""Settings, all from the environment through typed readers that fail loudly. `FUSTOR_HOME` holds everything that is written."""

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from kombu import Queue

from fustor_site import schedule
from fustor_site.logs import configure_structlog, logging_config
from fustor_site.supervisor import broker

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

FUSTOR_HOME = Path(env.str("FUSTOR_HOME", default=str(BASE_DIR / "var"))).resolve()
FUSTOR_HOME.mkdir(parents=True, exist_ok=True)


def _kept_secret(variable: str, file_name: str) -> str:
    """A secret from the environment, else one made once and kept, readable by the owner only, under the home."""
    given: str = env.str(variable, default="")
    if given:
        return given
    path = FUSTOR_HOME / file_name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48))
    return path.read_text().strip()


SECRET_KEY = _kept_secret("FUSTOR_SECRET_KEY", "secret_key")
# the pepper of key hashes; the first is used for new hashes, the others still verify (rotation)
FUSTOR_KEY_PEPPERS = [p for p in _kept_secret("FUSTOR_KEY_PEPPERS", "key_pepper").split(",") if p]

# failed authentications per address and per key until they are refused unheard for the rest of the minute
FUSTOR_AUTH_FAILURES_PER_MINUTE = env.int("FUSTOR_AUTH_FAILURES_PER_MINUTE", default=1200)
# whether the old paths /api/v1/ingest/… still answer (fustor_site.legacy)
FUSTOR_LEGACY_PATHS = env.bool("FUSTOR_LEGACY_PATHS", default=True)
# how many proxies in front of this server append to X-Forwarded-For
FUSTOR_TRUSTED_PROXIES = env.int("FUSTOR_TRUSTED_PROXIES", default=0)

DEBUG = env.bool("FUSTOR_DEBUG", default=False)
TLS = env.bool("FUSTOR_TLS", default=False)
ALLOWED_HOSTS = env.list("FUSTOR_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("FUSTOR_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "daphne",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "ninja",
    "axes",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "fustor_site.apps.SiteConfig",
    "apps.runtime.apps.RuntimeConfig",
    "apps.views.apps.ViewsConfig",
    "apps.pipes.apps.PipesConfig",
    "apps.sessions.apps.SessionsConfig",
]

MIDDLEWARE = [
    "fustor_site.middleware.request_id",
    "fustor_site.middleware.no_nul",
    "fustor_site.middleware.api_slash",
    "fustor_site.legacy.legacy_paths",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "fustor_site.middleware.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "fustor_site.middleware.OwnSettings",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "fustor_site.urls"
ASGI_APPLICATION = "fustor_site.asgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]


def _database() -> dict[str, Any]:
    url = env.str("DATABASE_URL", default="")
    if not url:
        return _sqlite(FUSTOR_HOME / "fustor.sqlite3")
    config: dict[str, Any] = env.db_url("DATABASE_URL")
    if config["ENGINE"].endswith("sqlite3"):
        return _sqlite(Path(config["NAME"]))
    config["CONN_MAX_AGE"] = 0
    size = env.int("FUSTOR_DB_POOL", default=12)
    config["OPTIONS"] = {
        **config.get("OPTIONS", {}),
        # left to itself the pool tries ever less often while the database is away, and would be away as long again once it is back:
        # it gives up soon, and the next request tries anew
        "pool": {"min_size": 1, "max_size": size, "timeout": 5, "reconnect_timeout": 2},
    }
    config["TEST"] = {"NAME": env.str("FUSTOR_TEST_DB_NAME", default=f"test_{config['NAME']}")}
    return config


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        # lanes keep their connection: its page cache and its prepared statements are worth keeping
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": env.float("FUSTOR_SQLITE_BUSY_SECONDS", default=20),
            # NORMAL in WAL: a commit survives the death of every process (not a power cut; FUSTOR_SQLITE_SYNCHRONOUS=FULL does)
            "init_command": (
                "PRAGMA journal_mode=WAL;"
                f"PRAGMA synchronous={env.str('FUSTOR_SQLITE_SYNCHRONOUS', default='NORMAL')};"
                "PRAGMA cache_size=-65536;PRAGMA mmap_size=268435456;PRAGMA temp_store=MEMORY;"
                "PRAGMA journal_size_limit=67108864;"
                # fustor_site.checkpoints copies the log into the database beside the batches; this is for when it does not run
                "PRAGMA wal_autocheckpoint=32000;"
            ),
        },
        "TEST": {"NAME": str(path.with_name(f"test-{path.name}"))},
    }


DATABASES = {"default": _database()}
IS_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# threads per lane (apps.runtime.lanes); SQLite has one writer, so one ingest thread
FUSTOR_LANES = {
    "control": env.int("FUSTOR_CONTROL_THREADS", default=2),
    "ingest": env.int("FUSTOR_INGEST_THREADS", default=1 if IS_SQLITE else 4),
    "query": env.int("FUSTOR_QUERY_THREADS", default=4),
}

# sessions: bounds of the timeout in seconds (R26); how long a heartbeat may wait in memory before the database knows it
FUSTOR_SESSION_TIMEOUT_MIN = env.int("FUSTOR_SESSION_TIMEOUT_MIN", default=1)
FUSTOR_SESSION_TIMEOUT_MAX = env.int("FUSTOR_SESSION_TIMEOUT_MAX", default=3600)
FUSTOR_BEAT_FLUSH_SECONDS = env.float("FUSTOR_BEAT_FLUSH_SECONDS", default=0.25)
# ingestion: most bytes of one body, and of all bodies that one web process holds at a time (R31)
FUSTOR_MAX_BODY_BYTES = env.int("FUSTOR_MAX_BODY_BYTES", default=64 * 1024 * 1024)
FUSTOR_SLOW_CLIENT_SECONDS = env.float("FUSTOR_SLOW_CLIENT_SECONDS", default=30.0)
FUSTOR_INGEST_INFLIGHT_BYTES = env.int("FUSTOR_INGEST_INFLIGHT_BYTES", default=128 * 1024 * 1024)
FUSTOR_HISTORY_DAYS = env.int("FUSTOR_HISTORY_DAYS", default=30)
# how long the audit log is kept, at least 30; 0 is for ever
FUSTOR_AUDIT_DAYS = env.int("FUSTOR_AUDIT_DAYS", default=0)

FUSTOR_REDIS_URL = env.str("FUSTOR_REDIS_URL", default="") or broker.address(FUSTOR_HOME)
_is_socket = urlsplit(FUSTOR_REDIS_URL).scheme == "unix"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": FUSTOR_REDIS_URL}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [FUSTOR_REDIS_URL], "prefix": "fustor"},
    }
}

CELERY_BROKER_URL = f"redis+socket://{urlsplit(FUSTOR_REDIS_URL).path}" if _is_socket else FUSTOR_REDIS_URL
CELERY_TASK_DEFAULT_QUEUE = "default"
# a worker without -Q takes both; an agent's own queue `agent.<id>` is made when the first job is sent to it
CELERY_TASK_QUEUES = (Queue("default"), Queue("housekeeping"))
CELERY_TASK_ROUTES = {f"{app}.*": {"queue": "housekeeping"} for app in ("sessions", "views", "pipes")}
CELERY_BEAT_SCHEDULE = schedule.BEAT
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "socket_keepalive": True}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(FUSTOR_HOME / "celerybeat-schedule")
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_HANDLER = "fustor_site.lockout.Handler"
AXES_CLIENT_IP_CALLABLE = "apps.pipes.addresses.client_address"
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "fustor_site.pages.locked_out"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# for so long after a login or a confirmation nobody is asked again for the password before something grave
FUSTOR_CONFIRM_MINUTES = env.int("FUSTOR_CONFIRM_MINUTES", default=10)
# links to set a password, from an invitation or a lost password, are good for so long
PASSWORD_RESET_TIMEOUT = env.int("FUSTOR_INVITATION_HOURS", default=72) * 3600
# whether an admin without a second factor may do nothing but set one up
FUSTOR_ADMINS_NEED_SECOND_FACTOR = env.bool("FUSTOR_ADMINS_NEED_SECOND_FACTOR", default=False)
# second factors are those of allauth, its pages are not used (apps.pipes.factors)
MFA_ADAPTER = "apps.pipes.factor_secrets.Adapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_TOTP_ISSUER = "Fustor"
MFA_TOTP_TOLERANCE = 1
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "fustor_site" / "locale"]
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = FUSTOR_HOME / "static"
STATIC_ROOT.mkdir(exist_ok=True)
# served from the source folders too, so a clean clone needs no collectstatic
WHITENOISE_USE_FINDERS = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = TLS
CSRF_COOKIE_SECURE = TLS
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = TLS
SECURE_HSTS_SECONDS = 31_536_000 if TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = TLS
SECURE_HSTS_PRELOAD = TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("FUSTOR_BEHIND_PROXY", default=False) else None
# the receiver's own limit decides for batches (413 names it); this is the end for everything else
DATA_UPLOAD_MAX_MEMORY_SIZE = FUSTOR_MAX_BODY_BYTES

configure_structlog()
LOGGING = logging_config(env.str("FUSTOR_LOG_FORMAT", default="console"), env.str("FUSTOR_LOG_LEVEL", default="INFO"))
