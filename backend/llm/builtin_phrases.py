"""The few sentences of the built-in model's own, in the languages it has them in."""

from __future__ import annotations

import re

PHRASES: dict[str, dict[str, str]] = {
    "en": {
        "hello": "Hello!",
        "thanks": "You're welcome.",
        "bye": "Goodbye!",
        "night": "Good night!",
        "about": (
            "I am Hearth's built-in model, not a language model: I cannot chat or write freely. I {abilities}, and "
            "answer "
            "from what the tools find. For everything else a language model is needed, and none is reachable here: "
            "install Ollama (https://ollama.com), run `ollama pull gpt-oss:20b` or a smaller model, and Hearth will "
            "use it."
        ),
        "abilities": "calculate, analyse data (JSON or CSV) and find passages in your uploaded documents",
        "abilities_tools": "can use the tools {tools}",
        "not_found": "Your documents do not contain an answer to this, as far as I can find: “{question}”.",
        "nearest": "Your documents do not clearly answer “{question}”. The nearest passage is:",
        "nothing_found": "Nothing was found for this: “{question}”.",
        "not_in_data": "The data has nothing for {what}, so it does not answer “{question}”.",
        "no_statistic": "The data does not clearly answer “{question}”: no field fits. Its fields are: {fields}.",
        "failed": "{tool} could not answer “{question}”: {error}",
        "unserved": "This part needs a language model, which is not reachable here: “{question}”.",
        "blocked": "This part could not be done, because the step before it gave no single value: “{question}”.",
        "empty": "{tool} gave no output.",
    },
    "de": {
        "hello": "Hallo!",
        "thanks": "Gern geschehen.",
        "bye": "Auf Wiedersehen!",
        "night": "Gute Nacht!",
        "about": (
            "Ich bin das eingebaute Modell von Hearth, kein Sprachmodell: Frei plaudern oder schreiben kann ich nicht. "
            "Ich {abilities} und antworte mit dem, was die Werkzeuge finden. Für alles andere braucht es ein "
            "Sprachmodell, "
            "und hier ist keines erreichbar: Installiere Ollama (https://ollama.com) und führe `ollama pull "
            "gpt-oss:20b` "
            "oder ein kleineres Modell aus, dann benutzt Hearth es."
        ),
        "abilities": "rechne, werte Daten aus (JSON oder CSV) und finde Stellen in deinen hochgeladenen Dokumenten",
        "abilities_tools": "kann die Werkzeuge {tools} benutzen",
        "not_found": "Soweit ich sehe, enthalten deine Dokumente keine Antwort auf: „{question}“.",
        "nearest": "Deine Dokumente beantworten „{question}“ nicht eindeutig. Am nächsten kommt:",
        "nothing_found": "Dazu wurde nichts gefunden: „{question}“.",
        "not_in_data": "Die Daten enthalten nichts zu {what} und beantworten „{question}“ daher nicht.",
        "no_statistic": "Die Daten beantworten „{question}“ nicht eindeutig: Kein Feld passt. Die Felder heißen: "
        "{fields}.",
        "failed": "{tool} konnte „{question}“ nicht beantworten: {error}",
        "unserved": "Dieser Teil braucht ein Sprachmodell, das hier nicht erreichbar ist: „{question}“.",
        "blocked": "Dieser Teil war nicht möglich, weil der Schritt davor keinen einzelnen Wert ergab: „{question}“.",
        "empty": "{tool} hat nichts ausgegeben.",
    },
    "fr": {
        "hello": "Bonjour !",
        "thanks": "Je vous en prie.",
        "bye": "Au revoir !",
        "night": "Bonne nuit !",
        "about": (
            "Je suis le modèle intégré de Hearth, pas un modèle de langage : je ne peux ni bavarder ni rédiger "
            "librement. "
            "Je {abilities}, et je réponds avec ce que les outils trouvent. Pour le reste, il faut un modèle de "
            "langage, "
            "et aucun n'est joignable ici : installez Ollama (https://ollama.com), lancez `ollama pull gpt-oss:20b` "
            "ou un "
            "modèle plus petit, et Hearth l'utilisera."
        ),
        "abilities": "calcule, j'analyse des données (JSON ou CSV) et je trouve des passages dans vos documents",
        "abilities_tools": "peux utiliser les outils {tools}",
        "not_found": "Autant que je puisse voir, vos documents ne contiennent pas de réponse à : « {question} ».",
        "nearest": "Vos documents ne répondent pas clairement à « {question} ». Le passage le plus proche :",
        "nothing_found": "Rien n'a été trouvé pour : « {question} ».",
        "not_in_data": "Les données ne contiennent rien pour {what} et ne répondent donc pas à « {question} ».",
        "no_statistic": "Les données ne répondent pas clairement à « {question} » : aucun champ ne convient. Les "
        "champs sont : {fields}.",
        "failed": "{tool} n'a pas pu répondre à « {question} » : {error}",
        "unserved": "Cette partie demande un modèle de langage, qui n'est pas joignable ici : « {question} ».",
        "blocked": "Cette partie n'a pas pu être faite, car l'étape précédente n'a pas donné une valeur unique : « "
        "{question} ».",
        "empty": "{tool} n'a rien renvoyé.",
    },
    "es": {
        "hello": "¡Hola!",
        "thanks": "De nada.",
        "bye": "¡Adiós!",
        "night": "¡Buenas noches!",
        "about": (
            "Soy el modelo integrado de Hearth, no un modelo de lenguaje: no puedo conversar ni escribir libremente. "
            "{abilities_cap}, y respondo con lo que encuentran las herramientas. Para todo lo demás hace falta un "
            "modelo de "
            "lenguaje, y aquí no hay ninguno accesible: instala Ollama (https://ollama.com), ejecuta `ollama pull "
            "gpt-oss:20b` "
            "o un modelo más pequeño, y Hearth lo usará."
        ),
        "abilities": "calculo, analizo datos (JSON o CSV) y encuentro pasajes en tus documentos",
        "abilities_tools": "puedo usar las herramientas {tools}",
        "not_found": "Por lo que veo, tus documentos no contienen una respuesta a: «{question}».",
        "nearest": "Tus documentos no responden claramente a «{question}». El pasaje más cercano:",
        "nothing_found": "No se encontró nada para: «{question}».",
        "not_in_data": "Los datos no contienen nada sobre {what}, así que no responden a «{question}».",
        "no_statistic": "Los datos no responden claramente a «{question}»: ningún campo corresponde. Los campos son: "
        "{fields}.",
        "failed": "{tool} no pudo responder a «{question}»: {error}",
        "unserved": "Esta parte necesita un modelo de lenguaje, que aquí no es accesible: «{question}».",
        "blocked": "Esta parte no se pudo hacer, porque el paso anterior no dio un único valor: «{question}».",
        "empty": "{tool} no devolvió nada.",
    },
    "it": {
        "hello": "Ciao!",
        "thanks": "Prego.",
        "bye": "Arrivederci!",
        "night": "Buona notte!",
        "about": (
            "Sono il modello integrato di Hearth, non un modello linguistico: non posso chiacchierare né scrivere "
            "liberamente. {abilities_cap}, e rispondo con quello che trovano gli strumenti. Per tutto il resto serve "
            "un "
            "modello linguistico, e qui non ne è raggiungibile nessuno: installa Ollama (https://ollama.com), esegui "
            "`ollama pull gpt-oss:20b` o un modello più piccolo, e Hearth lo userà."
        ),
        "abilities": "calcolo, analizzo dati (JSON o CSV) e trovo passaggi nei tuoi documenti",
        "abilities_tools": "posso usare gli strumenti {tools}",
        "not_found": "Per quanto vedo, i tuoi documenti non contengono una risposta a: «{question}».",
        "nearest": "I tuoi documenti non rispondono chiaramente a «{question}». Il passaggio più vicino:",
        "nothing_found": "Non è stato trovato nulla per: «{question}».",
        "not_in_data": "I dati non contengono nulla per {what}, quindi non rispondono a «{question}».",
        "no_statistic": "I dati non rispondono chiaramente a «{question}»: nessun campo corrisponde. I campi sono: "
        "{fields}.",
        "failed": "{tool} non ha potuto rispondere a «{question}»: {error}",
        "unserved": "Questa parte richiede un modello linguistico, che qui non è raggiungibile: «{question}».",
        "blocked": "Questa parte non è stata possibile, perché il passo precedente non ha dato un unico valore: "
        "«{question}».",
        "empty": "{tool} non ha restituito nulla.",
    },
    "pt": {
        "hello": "Olá!",
        "thanks": "De nada.",
        "bye": "Até logo!",
        "night": "Boa noite!",
        "about": (
            "Sou o modelo integrado do Hearth, não um modelo de linguagem: não posso conversar nem escrever "
            "livremente. "
            "{abilities_cap}, e respondo com o que as ferramentas encontram. Para todo o resto é preciso um modelo de "
            "linguagem, e aqui nenhum está acessível: instale o Ollama (https://ollama.com), execute `ollama pull "
            "gpt-oss:20b` ou um modelo menor, e o Hearth irá usá-lo."
        ),
        "abilities": "calculo, analiso dados (JSON ou CSV) e encontro passagens nos seus documentos",
        "abilities_tools": "posso usar as ferramentas {tools}",
        "not_found": "Pelo que vejo, os seus documentos não contêm uma resposta a: «{question}».",
        "nearest": "Os seus documentos não respondem claramente a «{question}». A passagem mais próxima:",
        "nothing_found": "Nada foi encontrado para: «{question}».",
        "not_in_data": "Os dados não contêm nada sobre {what}, por isso não respondem a «{question}».",
        "no_statistic": "Os dados não respondem claramente a «{question}»: nenhum campo corresponde. Os campos são: "
        "{fields}.",
        "failed": "{tool} não conseguiu responder a «{question}»: {error}",
        "unserved": "Esta parte precisa de um modelo de linguagem, que aqui não está acessível: «{question}».",
        "blocked": "Esta parte não foi possível, porque o passo anterior não deu um único valor: «{question}».",
        "empty": "{tool} não devolveu nada.",
    },
}


_NIGHT = re.compile(r"^\W*(?:good ?night|gute nacht|bonne nuit|buenas noches|buona ?notte|boa noite)\b", re.IGNORECASE)
_BYE = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|thanks?|thank you|danke|merci|gracias|grazie|obrigad[oa])\W+)*"
    r"(?:good ?bye|bye(?:[- ]bye)?|see you|tschüss|auf wiedersehen|au revoir|adiós|hasta luego|arrivederci|tchau|até "
    r"logo|adeus)\b",
    re.IGNORECASE,
)


def farewell(text: str) -> str:
    """The key of the phrase that answers a goodbye or a good night; empty when the text is neither."""
    if len(text) > 60:
        return ""
    return "night" if _NIGHT.match(text) else "bye" if _BYE.match(text) else ""


def phrase(language: str, key: str, **values: object) -> str:
    """A sentence in the language, English where there is no translation."""
    return PHRASES.get(language, PHRASES["en"])[key].format(**values)


def about(language: str, tools: tuple[str, ...] = ()) -> str:
    """What the built-in model is and can do, and how to get a language model."""
    known = language if language in PHRASES else "en"
    abilities = phrase(known, "abilities_tools", tools=", ".join(tools)) if tools else phrase(known, "abilities")
    return phrase(known, "about", abilities=abilities, abilities_cap=abilities[0].upper() + abilities[1:])
