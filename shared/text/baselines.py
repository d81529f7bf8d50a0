"""Linear models of unigram and bigram counts: the baselines of every text classifier.

N texts, V different n-grams, K classes.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix, diags  # type: ignore[import-untyped]
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression

from shared.data.table import Table

NGRAMS = (1, 2)
WORD = r"\w+|[^\w\s]"  # punctuation counts: "!" is informative in a review
RARE = 1000  # from so many texts on, an n-gram of one text alone is left out
TFIDF_C, NB_C = 10.0, 0.1  # inverse strengths of regularisation, chosen on 2,500 held-out training reviews of IMDB
_MAX_ITERATIONS = 300


def count(train: Sequence[str], test: Sequence[str]) -> tuple[csr_matrix, csr_matrix]:
    """Counts of one- and two-word n-grams, (N, V) each, in lower case; V those of train."""
    vectorizer = CountVectorizer(ngram_range=NGRAMS, token_pattern=WORD, min_df=2 if len(train) >= RARE else 1)
    try:
        known = vectorizer.fit_transform(train)
    except ValueError:  # no n-gram is in two texts, as in a list of names
        known = vectorizer.set_params(min_df=1).fit_transform(train)
    return known, vectorizer.transform(test)


def majority(train: csr_matrix, labels: np.ndarray, test: csr_matrix) -> np.ndarray:
    """(M,) int64: the most frequent class of train, always."""
    return np.full(test.shape[0], np.bincount(labels).argmax())


def tfidf(train: csr_matrix, labels: np.ndarray, test: csr_matrix) -> np.ndarray:
    """(M,) int64: predictions of logistic regression on TF-IDF, counts as 1 + their logarithm."""
    weigh = TfidfTransformer(sublinear_tf=True)
    model = _fitted(LogisticRegression(C=TFIDF_C, max_iter=_MAX_ITERATIONS), weigh.fit_transform(train), labels)
    predicted: np.ndarray = model.predict(weigh.transform(test))
    return predicted


def nbsvm(train: csr_matrix, labels: np.ndarray, test: csr_matrix) -> np.ndarray:
    """(M,) int64: predictions of NB-SVM, a linear model on presences scaled by Naive Bayes' log-count ratios.

    Wang & Manning 2012 (ACL, P12-2018), in the form of Mesnil et al. 2014 (arXiv:1412.5335) with the logistic loss;
    one model a class against the others where there are more than two.
    """
    known, new = (counts.sign().astype(np.float64) for counts in (train, test))
    present = np.unique(labels)
    chosen = present[-1:] if len(present) == 2 else present
    scores = np.stack([_nb_score(known, labels == label, new) for label in chosen], axis=1)
    best: np.ndarray = present[(scores[:, 0] > 0).astype(int)] if len(present) == 2 else chosen[scores.argmax(axis=1)]
    return best


def _nb_score(known: csr_matrix, inside: np.ndarray, new: csr_matrix) -> np.ndarray:
    """(M,) float: the class's decision score of each new text."""
    ratio = diags(log_count_ratio(known, inside))
    model = LogisticRegression(C=NB_C, solver="liblinear", max_iter=_MAX_ITERATIONS)
    score: np.ndarray = _fitted(model, known @ ratio, inside).decision_function(new @ ratio)
    return score


def log_count_ratio(presence: csr_matrix, inside: np.ndarray) -> np.ndarray:
    """(V,) float: log of the n-gram's share among those of the class, over its share among those of the others."""
    shares = []
    for rows in (inside, ~inside):
        counts = 1 + np.asarray(presence[rows].sum(axis=0)).ravel()
        shares.append(np.log(counts / counts.sum()))
    ratio: np.ndarray = shares[0] - shares[1]
    return ratio


def _fitted(model: LogisticRegression, features: csr_matrix, labels: np.ndarray) -> LogisticRegression:
    with warnings.catch_warnings():  # what it reaches in so many iterations is the baseline
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, labels)


def text_baselines(train: Table, test: Table, num_texts: int, seed: int) -> dict[str, np.ndarray]:
    """Predicted classes of the test texts, (M,) int64, by the most frequent class, by TF-IDF and by NB-SVM.

    Args:
        train, test: columns text and label (N,) int64.
        num_texts: most training texts of the baselines, drawn with the seed.
    """
    texts, labels = train.strings("text"), train.fixed("label")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(texts))[:num_texts])
    counts = count([texts[index] for index in chosen.tolist()], list(test.strings("text")))
    some = labels[chosen]
    several = len(np.unique(some)) > 1
    models = {"majority": majority, "tfidf": tfidf, "nbsvm": nbsvm}
    return {name: (model if several else majority)(counts[0], some, counts[1]) for name, model in models.items()}
