"""GET /v1/models: the cards of the loaded models, as data."""

from importlib.metadata import version

from fastapi import APIRouter, Request

from service.errors import NotFound
from service.routes.documented import problem_answers
from service.routes.flow import Service, service_of
from service.schemas.models import GridRule, Limits, Model, ModelsDocument, Numerics
from vqvae.tokenizer import Tokenizer

router = APIRouter(tags=["models"])


@router.get("/v1/models", summary="All loaded models")
async def list_models(request: Request) -> ModelsDocument:
    """The cards of all loaded models, the default one first."""
    service = service_of(request)
    return ModelsDocument(data=[_card(tokenizer, service) for tokenizer in service.registry.tokenizers])


@router.get("/v1/models/{name}", summary="One loaded model", responses=problem_answers(NotFound))
async def get_model(request: Request, name: str) -> Model:
    """The card of one loaded model: what its codes mean, what it was made of, and how well it does."""
    service = service_of(request)
    return _card(service.registry.named(name), service)


def _card(tokenizer: Tokenizer, service: Service) -> Model:
    card, settings = tokenizer.card, service.settings
    decoders = service.registry.decoders(card.name)
    return Model(
        name=card.name,
        default=tokenizer is service.registry.default,
        fingerprint=card.fingerprint,
        downsample_factor=tokenizer.space.downsample_factor,
        codebook_size=tokenizer.space.codebook_size,
        codebook_dim=card.quantizer.codebook_dim,
        grid=GridRule(),
        decoder=tokenizer.decoder_name,
        decoders=[each.decoder_name for each in decoders],
        decoder_halo=max(each.decoder_halo for each in decoders),
        digests={
            "encoder": card.encoder_digest,
            "quantizer": card.quantizer_digest,
            **{f"decoders.{name}": decoder.digest for name, decoder in card.decoders.items()},
        },
        numerics=Numerics(
            torch=version("torch"), threads=settings.threads, pixels_version=card.pixels_version
        ),
        limits=Limits.model_validate(settings, from_attributes=True),
        training_data=card.training_data,
        recipe=card.recipe,
        figures=card.figures,
    )
