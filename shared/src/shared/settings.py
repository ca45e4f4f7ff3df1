"""What every service is told by its environment."""

from pathlib import Path

from shared.web.settings import WebSettings


class ServiceSettings(WebSettings):
    """Read once, when a process starts."""

    database_url: str
    """The service's own PostgreSQL database: postgresql://user:password@host:port/name."""
    database_pool_size: int = 10
    kafka_bootstrap_servers: str
    customer_url: str = "http://localhost:8001"
    orders_url: str = "http://localhost:8002"
    service_desk_url: str = "http://localhost:8003"
    scoring_url: str = "http://localhost:8004"
    service_token_file: Path | None = None
    """A file with the token this service shows to the others; read at every call, so that it may rotate."""

    @property
    def publishers(self) -> dict[str, str]:
        """Where each service answers, by the second word of its topics."""
        return {
            "customer": self.customer_url,
            "orders": self.orders_url,
            "service_desk": self.service_desk_url,
            "scoring": self.scoring_url,
        }
