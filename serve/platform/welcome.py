"""What `up` prints when the platform answers."""

from rich.console import Console
from rich.table import Table

from serve.platform.state import PlatformState


def welcome(console: Console, state: PlatformState, *, demo_accounts: bool, stop_with: str) -> None:
    """Addresses, demo accounts if there are any, three commands to try, and how to stop it."""
    url = state.urls["api"]
    console.print()
    table = Table.grid(padding=(0, 2))
    for name, address in state.urls.items():
        table.add_row(f"[bold]{name}[/]", address)
    if demo_accounts:
        table.add_row("[bold]admin[/]", "admin@ecommerce.local / admin123")
        table.add_row("[bold]customer[/]", "customer@ecommerce.local / customer123")
    console.print(table)
    console.print("\n[bold]try[/]", highlight=False)
    for command in _commands(url) if demo_accounts else _commands(url)[:1]:
        # As they are, never wrapped: they are for copying.
        console.print(f"  {command}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"\n[dim]stop it with[/] {stop_with}", highlight=False)


def _commands(url: str) -> tuple[str, ...]:
    json = "-H 'Content-Type: application/json'"
    item = '{"productId": "prod-laptop-001", "sku": "LAPTOP-001", "quantity": 1}'
    login = '{"email": "customer@ecommerce.local", "password": "customer123"}'
    return (
        f"curl {url}/api/v1/products",
        f"curl -X POST {url}/api/v1/auth/login {json} -d '{login}'",
        f"curl -X POST {url}/api/v1/cart/user_123/items {json} -d '{item}'",
    )
