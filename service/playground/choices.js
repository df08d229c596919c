// Which model and which decoder: the fields, and what they say of the models that the service has.

const by = (id) => document.getElementById(id);

export class Choices {
  models = [];

  /** onModel(), onDecoder(): another one was chosen. */
  constructor({ onModel, onDecoder }) {
    by("model").addEventListener("change", onModel);
    by("decoder").addEventListener("change", onDecoder);
  }

  setModels(models) {
    this.models = models;
    by("model").replaceChildren(...models.map(({ name }) => new Option(name)));
    this.choose(models[0]);
  }

  choose(model) {
    const chosen = this.decoderOf(model);
    by("model").value = model.name;
    by("decoder").replaceChildren(...model.decoders.map((name) => new Option(name, name, false, name === chosen)));
    by("decoder-choice").hidden = model.decoders.length < 2;
  }

  get model() {
    return this.models.find(({ name }) => name === by("model").value);
  }

  /** The chosen decoder, or where the model does not have it, the one that it takes unless told. */
  decoderOf(model) {
    return model.decoders.includes(by("decoder").value) ? by("decoder").value : model.decoder;
  }

  get spaces() {
    return this.models.map(spaceOf);
  }
}

/** What gives a model's codes their meaning. */
export const spaceOf = ({ name, fingerprint, codebook_size: codebookSize, downsample_factor: factor }) => ({
  model: name,
  fingerprint,
  codebookSize,
  factor,
});
