import logging
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from mosvpp import errors, webhooks
from mosvpp.events import Delivery
from mosvpp.signatures import SharedHeaders

if not settings.configured:  # in a project these are in settings.py
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, SECRET_KEY=os.urandom(32).hex(), USE_TZ=True
    )

log = logging.getLogger(__name__)
verifier = SharedHeaders({"X-API-Key": [os.environ["WEBHOOK_SECRET"]]})


def store(delivery: Delivery) -> None:
    """Replace this: the delivery must survive a power cut, as with mosvpp.receiver it does."""
    with open("deliveries.jsonl", "ab") as file:
        file.write(delivery.to_json().replace("\n", " ").encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


@csrf_exempt
@require_POST
def receive(request: HttpRequest, expect: str) -> HttpResponse:
    try:
        delivery = webhooks.parse(request.body, request.headers, verifier=verifier, expect=expect)
    except errors.WebhookError as error:
        log.warning("refused: %s", error)  # for you; who has proved nothing is told nothing
        return HttpResponse(status=error.status_hint)
    store(delivery)
    return HttpResponse()


urlpatterns = [
    path("data-push", receive, {"expect": "data_push"}),
    path("execution-response", receive, {"expect": "execution_response"}),
]
app = get_wsgi_application()
