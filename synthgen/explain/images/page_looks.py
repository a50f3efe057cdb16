"""Attention as a piece of a page: pick a place of an image and see where the network looks from there."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.explain.images.page_steps import small
from synthgen.explain.images.sources import decoded
from synthgen.explain.pictures import sigma_text
from synthgen.html import Markup, data_island, escape, group, paragraph, picture

if TYPE_CHECKING:
    from synthgen.explain.images.attention import Looks
    from synthgen.explain.images.run import Explanation

MOST_BYTES = 3_500_000
"""Of weights in the page; fewer images are shown where they take more. The arrays hold all."""

_MOST_IMAGES = 16
_MOST_SIDE = 10
"""Feature maps with longer sides have the places that are looked at joined two by two, to keep the page small."""

STYLE = """
.look{display:flex;flex-wrap:wrap;gap:8px 14px;margin:8px 0}.look select{font:inherit;max-width:210px;margin-left:6px}
.looks{display:grid;grid-template-columns:repeat(3,1fr);gap:12px;max-width:640px}
.looks figure{margin:0}.looks figcaption{font-size:.85rem;color:var(--soft)}
.looks canvas{width:100%;image-rendering:pixelated;border-radius:4px;border:1px solid var(--line);display:block}
#look-image{cursor:crosshair;position:relative;touch-action:manipulation}
#look-image img{width:100%;border-radius:4px}#look-image img[hidden]{display:none}
#look-mark{position:absolute;border:2px solid #c2570c;box-shadow:0 0 0 1px #fff;box-sizing:border-box;
pointer-events:none;border-radius:2px}
@media(max-width:520px){.looks{gap:8px}}
"""

SCRIPT = """
(function(){var island=document.getElementById("look-data");if(!island)return;
var data=JSON.parse(island.textContent),pick=document.querySelectorAll(".look select[data-pick-look]"),
box=document.getElementById("look-image"),mark=document.getElementById("look-mark"),
told=document.getElementById("look-told"),every=document.getElementById("look-every"),
seen=document.getElementById("look-seen"),parts=document.getElementById("look-parts"),token=document.getElementById("look-token"),at=[0.5,0.5],all=true,
colours=[[194,87,12],[37,99,201],[46,125,80],[150,80,160],[120,120,120],[200,160,20]];
function bytes(text){var raw=atob(text),out=new Uint8Array(raw.length);
for(var i=0;i<raw.length;i++)out[i]=raw.charCodeAt(i);return out}
function paint(canvas,height,width,colour){canvas.width=width;canvas.height=height;var context=canvas.getContext("2d"),
image=context.createImageData(width,height);for(var i=0;i<height*width;i++){var c=colour(i);
image.data[4*i]=c[0];image.data[4*i+1]=c[1];image.data[4*i+2]=c[2];image.data[4*i+3]=255}
context.putImageData(image,0,0)}
function show(){var image=+pick[0].value,level=+pick[1].value,key=+pick[2].value,
layer=data.layers[data.keys[key].layer],h=layer.h,w=layer.w,kh=layer.kh,kw=layer.kw,one=data.weights[image][level][key],raw=bytes(one.b),count=kh*kw,
row=Math.min(h-1,Math.floor(at[0]*h)),column=Math.min(w-1,Math.floor(at[1]*w)),values=new Float64Array(count),i,q;
function weight(query,i){var v=raw[query*count+i]/255;return one.top*v*v*(layer.words?layer.words:count)}
token.parentNode.hidden=true;
if(layer.words){token.parentNode.hidden=false;said(image);for(i=0;i<count;i++)values[i]=weight(+token.value,i)}
else if(all){for(q=0;q<h*w;q++)for(i=0;i<count;i++)values[i]+=weight(q,i)/(h*w)}
else for(i=0;i<count;i++)values[i]=weight(row*w+column,i);
var top=0.5,best=0;for(i=0;i<count;i++){top=Math.max(top,Math.abs(values[i]-1));if(values[i]>values[best])best=i}
paint(seen,kh,kw,function(i){var s=(values[i]-1)/top,end=s>=0?[194,87,12]:[37,99,201];s=Math.abs(s);
return end.map(function(c){return Math.round(255+s*(c-255))})});
var cluster=data.clusters[image];paint(parts,cluster.h,cluster.w,function(i){return colours[cluster.of[i]]});
box.querySelectorAll("img").forEach(function(one,i){one.hidden=i!==image});
mark.style.left=100*column/w+"%";mark.style.top=100*row/h+"%";mark.style.width=100/w+"%";
mark.style.height=100/h+"%";every.setAttribute("aria-pressed",all);
every.hidden=!!layer.words;mark.hidden=all||!!layer.words;
told.textContent=(layer.words?"Who looks at '"+data.tokens[image][+token.value]+"'":all?"Mean over all places":
"From row "+(row+1)+", column "+(column+1)+" of "+h+" x "+w)+
": most at row "+(Math.floor(best/kw)+1)+", column "+(best%kw+1)+" of "+kh+" x "+kw+", "+values[best].toFixed(1)+
" times an even share."}
function said(image){var words=data.tokens[image];if(token.dataset.image===String(image))return;
token.dataset.image=image;token.textContent="";words.forEach(function(word,i){
var option=document.createElement("option");option.value=i;option.textContent=word;token.appendChild(option)})}
function from(event){var area=box.getBoundingClientRect();at=[(event.clientY-area.top)/area.height,
(event.clientX-area.left)/area.width].map(function(v){return Math.min(0.999,Math.max(0,v))});all=false;show()}
box.addEventListener("pointerdown",from);
box.addEventListener("pointermove",function(event){if(event.buttons)from(event)});
box.addEventListener("keydown",function(event){var layer=data.layers[data.keys[+pick[2].value].layer],
step={ArrowUp:[-1,0],ArrowDown:[1,0],ArrowLeft:[0,-1],ArrowRight:[0,1]}[event.key];if(!step)return;
event.preventDefault();at=[at[0]+step[0]/layer.h,at[1]+step[1]/layer.w].map(function(v){
return Math.min(0.999,Math.max(0,v))});all=false;show()});
token.addEventListener("change",show);every.addEventListener("click",function(){all=!all;show()});
pick.forEach(function(one){one.addEventListener("change",show)});show()})();
"""


def looks_piece(found: Explanation) -> Markup:
    """Pickers of image, noise level, layer and head, the image to click at, what is looked at from there, and its parts
    by what they look at. Needs `STYLE` and `SCRIPT`; one such piece per page."""
    looks = found.looks
    assert looks is not None
    shown = decoded(found.context.x0)[: _images_shown(looks)]
    names = found.context.names[: len(shown)]
    keys = [(layer, head) for layer, maps in enumerate(looks.maps) for head in range(maps.shape[2])]
    layers = [name.removeprefix("unet.") for name in looks.names]
    choices = (
        ("image", [f"{number}: {name}" for number, name in enumerate(names)]),
        ("noise level", [sigma_text(ratio) for ratio in looks.ratios]),
        ("layer, head", [f"{layers[layer]}, head {head + 1}" for layer, head in keys]),
    )
    lists = "".join(
        f"<label>{name}<select data-pick-look>"
        + "".join(f'<option value="{number}">{escape(text)}</option>' for number, text in enumerate(texts))
        + "</select></label>"
        for name, texts in choices
    )
    images = "".join(picture(small(image), name) for image, name in zip(shown, names, strict=True))
    entropy = ", ".join(f"{name} {one.mean():.2f}" for name, one in zip(layers, looks.entropy, strict=True))
    hidden = len(found.context.names) - len(shown)
    more = [paragraph(f"The attention of {hidden} more images is in the arrays.")] if hidden > 0 else []
    return group(
        Markup(
            f'<div class="look">{lists}<label hidden>word<select id="look-token"></select></label>'
            '<button type="button" id="look-every" aria-pressed="true">mean over all places</button></div>'
            '<div class="looks"><figure><div id="look-image" tabindex="0" role="application" '
            'aria-label="choose the place from which the network looks: click, or move with the arrow keys">'
            f'{images}<span id="look-mark" hidden></span></div><figcaption>click a place (or use the arrow keys)'
            '</figcaption></figure><figure><canvas id="look-seen"></canvas><figcaption>what is looked at from there'
            '</figcaption></figure><figure><canvas id="look-parts"></canvas><figcaption>parts that look at the same '
            'things</figcaption></figure></div><p id="look-told" aria-live="polite"></p>'
        ),
        data_island("look-data", _island(looks, len(shown), keys)),
        paragraph(
            "Orange: places that get more than an even share, blue: less. Parts: the places of the finest map in "
            "clusters (k-means) of what they look at, mean over heads and noise levels. How evenly the layers look, "
            f"1 everywhere alike, 0 at one place: {entropy}."
        ),
        *more,
    )


def _images_shown(looks: Looks) -> int:
    """As many as fit into `MOST_BYTES`."""
    each = sum(
        4 * maps[0].size * np.prod(_pooled(side)) / np.prod(side) / 3
        for maps, side in zip(looks.maps, looks.sides, strict=True)
    )
    return int(np.clip(MOST_BYTES // each, 1, _MOST_IMAGES))


def _pooled(side: tuple[int, int]) -> tuple[int, int]:
    """The size of the map of places that are looked at."""
    if max(side) <= _MOST_SIDE or side[0] % 2 or side[1] % 2:
        return side
    return side[0] // 2, side[1] // 2


def _island(looks: Looks, count: int, keys: list[tuple[int, int]]) -> dict[str, Any]:
    """Weights as bytes: 255 times the root of their part of the largest one of a head."""
    layers = []
    for name, side, told, maps in zip(looks.names, looks.sides, looks.told, looks.maps, strict=True):
        pooled, words = (side, maps.shape[-1]) if told else (_pooled(side), 0)
        layers.append({"name": name, "h": side[0], "w": side[1], "kh": pooled[0], "kw": pooled[1], "words": words})
    weights = [
        [[_packed(looks, layer, looks.maps[layer][row, level, head]) for layer, head in keys] for level in levels]
        for row, levels in ((row, range(len(looks.ratios))) for row in range(count))
    ]
    height, width = looks.sides[looks.finest]
    clusters = [{"h": height, "w": width, "of": row.tolist()} for row in looks.clusters[:count]]
    return {
        "layers": layers,
        "keys": [{"layer": layer, "head": head} for layer, head in keys],
        "weights": weights,
        "clusters": clusters,
        "tokens": [[word or "nothing" for word in words] for words in looks.tokens[:count]],
    }


def _packed(looks: Looks, layer: int, weights: np.ndarray) -> dict[str, Any]:
    """(T, K) float32, who looks by what is looked at; of tokens the other way round: who looks at each."""
    side = looks.sides[layer]
    joined = weights.T if looks.told[layer] else joined_places(weights, side)
    top = float(joined.max())
    packed = np.rint(255.0 * np.sqrt(joined / max(top, 1e-30))).astype(np.uint8)
    return {"top": float(f"{top:.5g}"), "b": base64.b64encode(packed.tobytes()).decode()}


def joined_places(weights: np.ndarray, side: tuple[int, int]) -> np.ndarray:
    """(T, T) with the places that are looked at joined as `_pooled` says."""
    pooled = _pooled(side)
    parts = (side[0] // pooled[0], side[1] // pooled[1])
    return np.asarray(weights.reshape(len(weights), pooled[0], parts[0], pooled[1], parts[1]).sum(axis=(2, 4)))
